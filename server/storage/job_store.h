#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "polyak/v1/training_job.pb.h"

namespace polyak::storage {

// A job as it is at one moment; immutable, a change is a new snapshot.
using JobSnapshot = std::shared_ptr<const v1::TrainingJob>;

// What makes a retried submission answer the first job.
struct RequestKey {
  std::string request_id;  // empty: none
  std::string payload;  // what was asked for, in a form that is equal exactly when the request is
};

// Called once when the change is as durable as the store makes it. May be called before the
// mutating call returns.  Errors, beside the method's own: ResourceExhausted when the disk is full
// and the change was not made; Unavailable when the store can't tell whether the change will last.
using Done = std::function<void(absl::Status)>;
// Called once with the answer, on the store's thread or before the call returns. Must be short.
using GetDone = std::function<void(absl::StatusOr<JobSnapshot>)>;

// Called once when the removal of a damaged job is as durable as the store makes it, with the uid
// under which its files lie, as far as it can still be read; "" if that is another job's. It is as
// damaged as the rest may be: the caller judges whether it is a uid at all.
using RemoveDamagedDone = std::function<void(absl::StatusOr<std::string>)>;

// Which jobs a page of a list holds, newest first. `matches` may be called on the store's thread,
// until the answer is given.
struct ListPage {
  std::function<bool(const v1::TrainingJob&)> matches;
  int64_t before = 0;  // only jobs with a sequence number below this; 0: from the newest
  int64_t size = 50;
};
struct ListResult {
  std::vector<JobSnapshot> jobs;  // each without the explicit numbers of its spec
  int64_t next_before = 0;        // 0: the last page
};

using ListDone = std::function<void(absl::StatusOr<ListResult>)>;

// Which jobs name a data set in their specs.
struct DatasetUse {
  int64_t jobs = 0;
  std::string one;  // the name of one of them
};
using DatasetUseDone = std::function<void(absl::StatusOr<DatasetUse>)>;

// A job as it is found when a server starts.
struct StoredJob {
  JobSnapshot job;
  bool cancel_requested = false;
};

// Where jobs are kept. Safe from any thread; only the Load functions wait for a disk.
class JobStore {
 public:
  virtual ~JobStore() = default;
  // Errors: AlreadyExists for a taken name, or for a request id that made another job within the
  // last 24 hours (the message says which of the two).
  virtual void Insert(JobSnapshot job, const RequestKey& key, Done done) = 0;
  // Of the job with this name and uid, whose spec never changes. Errors: NotFound.
  virtual void Update(JobSnapshot job, Done done) = 0;
  // Keeps the wish to cancel beside an unfinished job, for a server that starts later. OK, and
  // nothing is kept, if the job has ended. Errors: NotFound.
  virtual void RequestCancel(const std::string& name, Done done) = 0;
  // Leaves a tombstone for 30 days. Errors: NotFound, also if the name is another job's by now;
  // DataLoss if what was stored is damaged, so that it can't be told whose the name is.
  virtual void Remove(const std::string& name, const std::string& uid, Done done) = 0;
  // The same for a job that Get answers with DataLoss, whatever its uid is.
  // Errors: NotFound, also if the job of that name is not damaged; DataLoss if so much is damaged
  // that it can't be taken out.
  virtual void RemoveDamaged(const std::string& name, RemoveDamagedDone done) = 0;
  // Errors: NotFound; with the message "expired" while a tombstone lives. DataLoss if what was
  // stored is damaged.
  virtual void Get(const std::string& name, GetDone done) const = 0;
  // The job that a request id made within the last 24 hours, or null.
  // Errors: AlreadyExists if its payload was another, or if the job was removed: a late retry must
  // not make a second one.
  virtual void FindRequest(const RequestKey& key, GetDone done) const = 0;
  // The jobs may come without the explicit numbers of their specs. Damaged ones are left out.
  virtual void List(const ListPage& page, ListDone done) const = 0;
  // The `limit` jobs that ended first, those that ended earliest in front; otherwise as List, of
  // one page.
  virtual void ListEnded(int64_t limit, ListDone done) const = 0;
  // dataset: "datasets/{id}".
  virtual void FindDatasetUse(const std::string& dataset, DatasetUseDone done) const = 0;
  // Every job that has no end_time, in the order of their creation; damaged ones are left out.
  // Before anything else is called.
  virtual absl::StatusOr<std::vector<StoredJob>> LoadUnfinished() = 0;
  // The uids of all jobs, in no order: files of others are orphans. Waits for the disk.
  virtual absl::StatusOr<std::vector<std::string>> LoadUids() = 0;
  virtual bool survives_restart() const = 0;
};

}  // namespace polyak::storage
