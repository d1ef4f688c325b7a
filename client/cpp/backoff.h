#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace polyak::client {

// Growing pauses between tries: each is drawn uniformly between half and all of a limit that
// doubles up to a largest one, so that many clients cut at once do not come back at once.
class Backoff {
 public:
  // seed: of the jitter; different clients take different ones.
  explicit Backoff(uint64_t seed, absl::Duration first = absl::Milliseconds(200),
                   absl::Duration largest = absl::Seconds(10));

  absl::Duration Next();
  void Reset();  // after a success

 private:
  uint64_t state_;
  absl::Duration first_;
  absl::Duration largest_;
  absl::Duration limit_;
};

}  // namespace polyak::client
