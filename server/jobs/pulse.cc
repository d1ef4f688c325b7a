#include "server/jobs/pulse.h"

#include <algorithm>
#include <limits>
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
  const uint64_t number = next_number_++;
  jobs_.emplace(number, job.get());
  Watched& watched = watched_[job.get()];
  watched.job = std::move(job);
  watched.watchers[number].wake = std::move(wake);
  watched.deadline = 0;
  nudged_ = true;
  changed_.SignalAll();
  return number;
}

void Pulse::Remove(uint64_t number) {
  const base::MutexLock lock(&mutex_);
  const auto job = jobs_.find(number);
  if (job == jobs_.end()) {
    return;
  }
  const auto watched = watched_.find(job->second);
  jobs_.erase(job);
  watched->second.watchers.erase(number);
  if (watched->second.watchers.empty()) {
    watched_.erase(watched);
  }
}

void Pulse::Nudge() {
  const base::MutexLock lock(&mutex_);
  nudged_ = true;
  changed_.SignalAll();
}

void Pulse::WakeAll() {
  const base::MutexLock lock(&mutex_);
  for (auto& [job, watched] : watched_) {
    watched.deadline = 0;
    for (auto& [number, watcher] : watched.watchers) {
      watcher.deadline = 0;
    }
  }
  nudged_ = true;
  changed_.SignalAll();
}

int64_t Pulse::watcher_count() const {
  const base::MutexLock lock(&mutex_);
  return static_cast<int64_t>(jobs_.size());
}

void Pulse::WakeMoved() {
  const double now = clock_.MonotonicSeconds();
  for (auto& [job, watched] : watched_) {
    storage::JobSnapshot snapshot = job->snapshot();
    const int64_t rows = job->reader()->row_count();
    const bool moved = rows != watched.seen_rows || snapshot != watched.seen_snapshot;
    if (moved || now >= watched.deadline) {
      watched.seen_rows = rows;
      watched.seen_snapshot = std::move(snapshot);
      WakeWatchers(watched, moved, now);
    }
  }
}

void Pulse::WakeWatchers(Watched& watched, bool moved, double now) {
  watched.deadline = std::numeric_limits<double>::infinity();
  for (auto& [number, watcher] : watched.watchers) {
    if (moved || now >= watcher.deadline) {
      watcher.deadline = watcher.wake();
    }
    watched.deadline = std::min(watched.deadline, watcher.deadline);
  }
}

void Pulse::Beat() {
  const base::MutexLock lock(&mutex_);
  while (!closing_) {
    WakeMoved();
    if (watched_.empty()) {
      while (watched_.empty() && !closing_) {
        changed_.Wait(&mutex_);
      }
    } else if (!nudged_) {
      changed_.WaitWithTimeout(&mutex_, kBeat);
    }
    nudged_ = false;
  }
}

}  // namespace polyak::jobs
