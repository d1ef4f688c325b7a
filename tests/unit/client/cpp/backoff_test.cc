#include "client/cpp/backoff.h"

#include <algorithm>
#include <array>
#include <set>

#include "gtest/gtest.h"

namespace polyak::client {
namespace {

TEST(Backoff, DrawsEachPauseBetweenHalfAndAllOfALimitThatDoubles) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Backoff backoff(seed, absl::Milliseconds(200), absl::Seconds(10));
    absl::Duration limit = absl::Milliseconds(200);
    for (int k = 0; k < 12; ++k) {
      const absl::Duration pause = backoff.Next();
      EXPECT_GE(pause, limit / 2) << "seed " << seed << ", pause " << k;
      EXPECT_LE(pause, limit) << "seed " << seed << ", pause " << k;
      limit = std::min(2 * limit, absl::Seconds(10));
    }
  }
}

TEST(Backoff, NeverPausesLongerThanTheLargestLimit) {
  Backoff backoff(1, absl::Seconds(7), absl::Seconds(10));
  for (int k = 0; k < 100; ++k) {
    EXPECT_LE(backoff.Next(), absl::Seconds(10));
  }
}

TEST(Backoff, ClientsCutAtOnceComeBackSpreadOverTheWholeInterval) {
  // 1,000 uniform draws from [100, 200] ms in ten bins of 100 on average: a bin is binomial with
  // a standard deviation of 9.5, and 60 to 140 is over four of them.
  std::array<int, 10> bins = {};
  std::set<absl::Duration> different;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    const absl::Duration pause = Backoff(seed, absl::Milliseconds(200)).Next();
    different.insert(pause);
    const double share = absl::FDivDuration(pause, absl::Milliseconds(100)) - 1;
    ++bins[std::min(static_cast<size_t>(share * 10), bins.size() - 1)];
  }
  EXPECT_GT(different.size(), 990u);
  for (const int count : bins) {
    EXPECT_GE(count, 60);
    EXPECT_LE(count, 140);
  }
}

TEST(Backoff, PausesOfOneClientDifferToo) {
  Backoff backoff(3, absl::Seconds(1), absl::Seconds(1));
  std::set<absl::Duration> different;
  for (int k = 0; k < 100; ++k) {
    different.insert(backoff.Next());
  }
  EXPECT_GT(different.size(), 90u);
}

TEST(Backoff, BeginsAgainAfterASuccess) {
  Backoff backoff(4, absl::Milliseconds(200), absl::Seconds(10));
  for (int k = 0; k < 5; ++k) {
    backoff.Next();
  }
  EXPECT_GT(backoff.Next(), absl::Seconds(1));
  backoff.Reset();
  EXPECT_LE(backoff.Next(), absl::Milliseconds(200));
}

TEST(Backoff, TheSameSeedGivesTheSamePauses) {
  Backoff one(5);
  Backoff two(5);
  for (int k = 0; k < 10; ++k) {
    EXPECT_EQ(one.Next(), two.Next());
  }
}

}  // namespace
}  // namespace polyak::client
