#include "client/cpp/backoff.h"

#include <algorithm>
#include <random>

namespace polyak::client {

Backoff::Backoff(uint64_t seed, absl::Duration first, absl::Duration largest)
    : state_(seed), first_(first), largest_(largest), limit_(first) {}

absl::Duration Backoff::Next() {
  std::minstd_rand generator(static_cast<uint32_t>(state_ % 2147483646 + 1));
  generator.discard(2);  // neighbouring seeds give neighbouring first values
  const double share = std::uniform_real_distribution<double>(0.5, 1.0)(generator);
  state_ = generator();
  const absl::Duration pause = limit_ * share;
  limit_ = std::min(2 * limit_, largest_);
  return pause;
}

void Backoff::Reset() { limit_ = first_; }

}  // namespace polyak::client
