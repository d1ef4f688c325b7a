#include "server/base/worker_pool.h"

#include <pthread.h>

#include <utility>

#include "server/base/check.h"

namespace polyak::base {

WorkerPool::WorkerPool(int threads, const char* name) {
  POLYAK_CHECK(threads >= 1);
  for (int k = 0; k < threads; ++k) {
    threads_.emplace_back([this, name] { Work(name); });
  }
}

WorkerPool::~WorkerPool() {
  {
    const MutexLock lock(&mutex_);
    closing_ = true;
    changed_.SignalAll();
  }
  threads_.clear();
}

void WorkerPool::Submit(std::function<void()> task) {
  const MutexLock lock(&mutex_);
  POLYAK_CHECK(!closing_);
  tasks_.push_back(std::move(task));
  changed_.Signal();
}

bool WorkerPool::responsive() const {
  const MutexLock lock(&mutex_);
  return tasks_.empty() || busy_ == thread_count();
}

void WorkerPool::Work(const char* name) {
  pthread_setname_np(pthread_self(), name);
  while (true) {
    std::function<void()> task;
    {
      const MutexLock lock(&mutex_);
      while (tasks_.empty() && !closing_) {
        changed_.Wait(&mutex_);
      }
      if (tasks_.empty()) {
        return;
      }
      task = std::move(tasks_.front());
      tasks_.pop_front();
      ++busy_;
    }
    task();
    task = nullptr;  // what it holds is gone before the thread counts as free
    const MutexLock lock(&mutex_);
    --busy_;
  }
}

}  // namespace polyak::base
