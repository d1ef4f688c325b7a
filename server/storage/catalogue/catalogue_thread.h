#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"
#include "server/base/worker_pool.h"
#include "server/storage/catalogue/changes.h"
#include "server/storage/catalogue/connection.h"
#include "server/storage/catalogue/queries.h"
#include "server/storage/job_store.h"

namespace polyak::storage {

// The thread that has the connection to itself. While one transaction is being synced, changes
// queue up; the next transaction takes them all (group commit: the more load, the more changes a
// sync carries; no timer, so a lone change waits for nobody). Reads are answered between
// transactions.
//
// After a transaction that failed for any reason but a full disk the store is broken: whether it
// was kept can only be told by opening the file anew.
class CatalogueThread {
 public:
  struct Options {
    int batch_max = 0;  // changes a transaction
    // On the thread, once a change is durable, before its Done.
    std::function<void(const Change&)> on_commit;
    // On the thread, once, after the Done of what failed.
    std::function<void(absl::Status)> on_broken;
    std::function<void(absl::Status)> on_damage;  // of a job, once each
  };
  // Answers a read; with null and an error if the store is broken.
  using Read = std::function<void(Queries*, const absl::Status& broken)>;

  // Throws SQLite::Exception: inside Connection::Try only.
  CatalogueThread(Connection& connection, const base::Clock& clock, Options options);
  ~CatalogueThread() = default;  // does what is queued
  CatalogueThread(const CatalogueThread&) = delete;
  CatalogueThread& operator=(const CatalogueThread&) = delete;

  // From any thread; both are refused at once if the store is broken.
  void Submit(Change change, Done done);
  void Submit(Read read);
  // OK, or with what every call is refused.
  absl::Status status();

 private:
  struct Pending {
    Change change;
    Done done;
  };
  // Returns OK, and sees to it that Work runs, unless the store is broken.
  absl::Status WakeUp() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Work();
  // What the next transaction takes of pending_.
  std::deque<Pending>::iterator EndOfBatch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Commit(std::vector<Pending> batch);
  void CommitOneByOne(std::vector<Pending> batch);

  Connection& connection_;
  const base::Clock& clock_;
  const Options options_;
  Changes changes_;
  Queries queries_;
  base::Mutex mutex_;
  std::deque<Pending> pending_ ABSL_GUARDED_BY(mutex_);
  std::vector<Read> reads_ ABSL_GUARDED_BY(mutex_);
  bool working_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status broken_ ABSL_GUARDED_BY(mutex_);
  base::WorkerPool thread_;  // ends first
};

}  // namespace polyak::storage
