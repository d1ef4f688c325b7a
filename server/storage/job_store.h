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
// mutating call returns.
using Done = std::function<void(absl::Status)>;

// Which jobs a page of a list holds, newest first.
struct ListPage {
  std::function<bool(const v1::TrainingJob&)> matches;
  int64_t before = 0;  // only jobs with a sequence number below this; 0: from the newest
  int64_t size = 50;
};
struct ListResult {
  std::vector<JobSnapshot> jobs;
  int64_t next_before = 0;  // 0: the last page
};

// Where jobs are kept. Safe from any thread.
class JobStore {
 public:
  virtual ~JobStore() = default;
  // Errors: AlreadyExists for a taken name.
  virtual void Insert(JobSnapshot job, const RequestKey& key, Done done) = 0;
  virtual void Update(JobSnapshot job, Done done) = 0;
  // Leaves a tombstone for 30 days. Errors: NotFound.
  virtual void Remove(const std::string& name, Done done) = 0;
  // Errors: NotFound; with the message "expired" while a tombstone lives.
  virtual absl::StatusOr<JobSnapshot> Get(const std::string& name) const = 0;
  // The job that a request id made within the last 24 hours, or null.
  // Errors: AlreadyExists if its payload was another, or if the job was removed: a late retry must
  // not make a second one.
  virtual absl::StatusOr<JobSnapshot> FindRequest(const RequestKey& key) const = 0;
  virtual ListResult List(const ListPage& page) const = 0;
  virtual bool survives_restart() const = 0;
};

}  // namespace polyak::storage
