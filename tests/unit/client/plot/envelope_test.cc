#include "client/plot/envelope.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace polyak::plot {
namespace {

TEST(Envelope, KeepsEveryPeakOfAnOscillationInBoundedMemory) {
  Envelope envelope("loss");
  for (int64_t t = 0; t < 100'000; ++t) {
    envelope.Add(t, t == 77'777 ? 1e6 : 1 + 0.5 * std::sin(0.3 * static_cast<double>(t)));
  }
  EXPECT_LE(envelope.bins().size(), 4096u);
  const auto& bin = envelope.bins()[static_cast<size_t>(77'777 / envelope.bin_width())];
  EXPECT_EQ(bin.largest, 1e6);
  EXPECT_LT(bin.smallest, 1);
  EXPECT_EQ(envelope.last_iteration(), 99'999);
}

TEST(Envelope, CountsWhatALogAxisCannotShow) {
  Envelope envelope("loss");
  envelope.Add(0, 1);
  envelope.Add(1, 0);
  envelope.Add(2, std::numeric_limits<double>::quiet_NaN());
  envelope.Add(3, std::numeric_limits<double>::infinity());
  EXPECT_EQ(envelope.undrawable_count(), 3);
  ASSERT_EQ(envelope.bins().size(), 1u);
}

TEST(Envelope, AJumpFarAheadLeavesEmptyBinsBetween) {
  Envelope envelope("loss");
  envelope.Add(0, 2);
  envelope.Add(1'000'000'000'000, 3);
  EXPECT_LE(envelope.bins().size(), 4096u);
  EXPECT_EQ(envelope.bins().front().largest, 2);
  EXPECT_EQ(envelope.bins().back().smallest, 3);
}

}  // namespace
}  // namespace polyak::plot
