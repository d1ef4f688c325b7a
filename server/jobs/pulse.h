#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <unordered_map>

#include "absl/time/time.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"
#include "server/jobs/job.h"

namespace polyak::jobs {

// One thread that wakes readers of jobs that moved: new rows, a new state, or a reader's own
// deadline. Trainers never call it; it looks at their traces every 10 ms while anybody watches.
class Pulse {
 public:
  // Called on the pulse thread, shortly, without a wait. Returns the next monotonic time at which
  // it wants to be called although nothing moved; infinity for never.
  using Wake = std::function<double()>;

  explicit Pulse(const base::Clock& clock);
  ~Pulse();

  // Wake is called once soon, and then whenever the job moved. Returns a number for Remove.
  uint64_t Add(std::shared_ptr<Job> job, Wake wake);
  // After it returned, wake is not running and won't be called. Never call it from within a wake,
  // nor under a lock that a wake takes.
  void Remove(uint64_t number);
  // A job's state has changed: look at once.
  void Nudge();
  // Wakes every watcher once, moved or not.
  void WakeAll();
  int64_t watcher_count() const;

 private:
  struct Watcher {
    Wake wake;
    double deadline = 0;  // 0: wake soon
  };
  // All watchers of one job: a beat at which nothing moved costs a look at the job, not at them.
  struct Watched {
    std::shared_ptr<Job> job;
    int64_t seen_rows = -1;
    storage::JobSnapshot seen_snapshot;  // held, so that its address is not used again
    double deadline = 0;                 // not after the first of the watchers'
    std::map<uint64_t, Watcher> watchers;
  };
  void Beat();
  void WakeMoved() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void WakeWatchers(Watched& watched, bool moved, double now);

  const base::Clock& clock_;
  mutable base::Mutex mutex_;
  base::CondVar changed_;
  std::unordered_map<const Job*, Watched> watched_ ABSL_GUARDED_BY(mutex_);  // none is empty
  std::unordered_map<uint64_t, const Job*> jobs_ ABSL_GUARDED_BY(mutex_);    // by watcher's number
  uint64_t next_number_ ABSL_GUARDED_BY(mutex_) = 1;
  bool nudged_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

}  // namespace polyak::jobs
