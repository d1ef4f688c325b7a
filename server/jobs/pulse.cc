#include "server/jobs/pulse.h"

#include <utility>

namespace polyak::jobs {
namespace {

constexpr absl::Duration kBeat = absl::Milliseconds(10);

}  // namespace

Pulse::Pulse(const base::Clock& clock) : clock_(clock), thread_([this] { Beat(); }) {}

Pulse::~Pulse() {
  const base::MutexLock lock(&mutex_);
  closing_ = true;
  changed_.SignalAll();
}

uint64_t Pulse::Add(std::shared_ptr<Job> job, Wake wake) {
  const base::MutexLock lock(&mutex_);
  Watcher watcher;
  watcher.job = std::move(job);
  watcher.wake = std::move(wake);
  watchers_.emplace(next_number_, std::move(watcher));
  nudged_ = true;
  changed_.SignalAll();
  return next_number_++;
}

void Pulse::Remove(uint64_t number) {
  const base::MutexLock lock(&mutex_);
  watchers_.erase(number);
}

void Pulse::Nudge() {
  const base::MutexLock lock(&mutex_);
  nudged_ = true;
  changed_.SignalAll();
}

void Pulse::WakeAll() {
  const base::MutexLock lock(&mutex_);
  for (auto& [number, watcher] : watchers_) {
    watcher.deadline = 0;
  }
  nudged_ = true;
  changed_.SignalAll();
}

int64_t Pulse::watcher_count() const {
  const base::MutexLock lock(&mutex_);
  return static_cast<int64_t>(watchers_.size());
}

void Pulse::WakeMoved() {
  const double now = clock_.MonotonicSeconds();
  for (auto& [number, watcher] : watchers_) {
    const storage::JobSnapshot snapshot = watcher.job->snapshot();
    const int64_t rows = watcher.job->reader()->row_count();
    if (rows == watcher.seen_rows && snapshot == watcher.seen_snapshot && now < watcher.deadline) {
      continue;
    }
    watcher.seen_rows = rows;
    watcher.seen_snapshot = snapshot;
    watcher.deadline = watcher.wake();
  }
}

void Pulse::Beat() {
  const base::MutexLock lock(&mutex_);
  while (!closing_) {
    WakeMoved();
    if (watchers_.empty()) {
      while (watchers_.empty() && !closing_) {
        changed_.Wait(&mutex_);
      }
    } else if (!nudged_) {
      changed_.WaitWithTimeout(&mutex_, kBeat);
    }
    nudged_ = false;
  }
}

}  // namespace polyak::jobs
