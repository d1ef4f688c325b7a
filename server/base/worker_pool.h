#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "server/base/mutex.h"

namespace polyak::base {

// A fixed number of threads that run tasks in the order they came. A seam over std::jthread.
class WorkerPool {
 public:
  // name: of the threads, as the system's tools show them; up to 15 characters.
  explicit WorkerPool(int threads, const char* name = "worker");
  ~WorkerPool();  // runs what is queued, then joins
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // From any thread. The task must not throw.
  void Submit(std::function<void()> task);
  int thread_count() const { return static_cast<int>(threads_.size()); }
  // False if a task waits although a thread is free. That may be so for the moment a thread needs
  // to wake up; where it lasts, threads have been lost.
  bool responsive() const;

 private:
  void Work(const char* name);

  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  int busy_ ABSL_GUARDED_BY(mutex_) = 0;  // threads that run a task
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::jthread> threads_;
};

}  // namespace polyak::base
