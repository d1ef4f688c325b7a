#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "server/base/mutex.h"

namespace polyak::storage {

struct AttemptState;

// A time that somebody opened a run to write its records. One that was given up for dead and
// comes back must not write among the records of the one that took its place.
class Attempt {
 public:
  // One that no other takes the place of.
  Attempt();
  // Runs `write`, unless a later attempt has begun or the run was removed: those wait for its end,
  // however long the disk takes.
  // Errors: Aborted if one has; those of `write`.
  absl::Status WhileNewest(const std::function<absl::Status()>& write) const;

 private:
  friend class Attempts;
  Attempt(std::shared_ptr<AttemptState> state, int64_t number);

  std::shared_ptr<AttemptState> state_;
  int64_t number_;
};

// The newest attempt at each run that anybody still has open. Any number of threads.
class Attempts {
 public:
  // From now on all earlier ones are refused.
  Attempt Begin(const std::string& uid);

 private:
  base::Mutex mutex_;
  std::map<std::string, std::weak_ptr<AttemptState>> states_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace polyak::storage
