#include "server/storage/attempts.h"

#include <utility>

namespace polyak::storage {

struct AttemptState {
  base::Mutex mutex;
  int64_t newest ABSL_GUARDED_BY(mutex) = 0;
};

Attempt::Attempt() : Attempt(std::make_shared<AttemptState>(), 0) {}

Attempt::Attempt(std::shared_ptr<AttemptState> state, int64_t number)
    : state_(std::move(state)), number_(number) {}

absl::Status Attempt::WhileNewest(const std::function<absl::Status()>& write) const {
  const base::MutexLock lock(&state_->mutex);
  if (state_->newest != number_) {
    return absl::AbortedError(
        "another attempt at this run has begun since, or the run was removed");
  }
  return write();
}

Attempt Attempts::Begin(const std::string& uid) {
  std::shared_ptr<AttemptState> state;
  {
    const base::MutexLock lock(&mutex_);
    std::erase_if(states_, [](const auto& entry) { return entry.second.expired(); });
    std::weak_ptr<AttemptState>& known = states_[uid];
    state = known.lock();
    if (state == nullptr) {
      state = std::make_shared<AttemptState>();
      known = state;
    }
  }
  const base::MutexLock lock(&state->mutex);
  return {state, ++state->newest};
}

}  // namespace polyak::storage
