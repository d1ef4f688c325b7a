#include "server/service/bin_edges.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "rapidcheck.h"
#include "rapidcheck/gtest.h"

namespace polyak::service {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(LinearEdges, CutARangeIntoBinsOfEquallyManyIterationsUpToOne) {
  EXPECT_THAT(LinearEdges(0, 10, 5), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(LinearEdges(0, 10, 3), ElementsAre(0, 3, 6, 10));
  EXPECT_THAT(LinearEdges(100, 107, 2), ElementsAre(100, 103, 107));
}

TEST(LogarithmicEdges, AreEquallyFarApartOnTheLogarithmicAxis) {
  EXPECT_THAT(LogarithmicEdges(0, 999, 3), ElementsAre(0, 9, 99, 999));
  EXPECT_THAT(LogarithmicEdges(9, 999, 2), ElementsAre(9, 99, 999));
}

TEST(Edges, ThereAreNoMoreBinsThanIterations) {
  EXPECT_THAT(LinearEdges(5, 8, 100), ElementsAre(5, 6, 7, 8));
  EXPECT_THAT(LogarithmicEdges(0, 4, 100), ElementsAre(0, 1, 2, 3, 4));
}

TEST(Edges, AnEmptyRangeHasNone) {
  EXPECT_THAT(LinearEdges(5, 5, 10), IsEmpty());
  EXPECT_THAT(LogarithmicEdges(5, 2, 10), IsEmpty());
}

RC_GTEST_PROP(Edges, RiseFromTheFirstToTheEndWithoutAnEmptyBin, (bool logarithmic)) {
  const auto first = *rc::gen::inRange<int64_t>(0, 1'000'000'000'000);
  const auto length = *rc::gen::inRange<int64_t>(1, 1'000'000'000'000);
  const auto bins = *rc::gen::inRange(1, 801);
  const auto edges = logarithmic ? LogarithmicEdges(first, first + length, bins)
                                 : LinearEdges(first, first + length, bins);
  RC_ASSERT(edges.front() == first);
  RC_ASSERT(edges.back() == first + length);
  RC_ASSERT(static_cast<int>(edges.size()) <= bins + 1);
  for (size_t k = 1; k < edges.size(); ++k) {
    RC_ASSERT(edges[k] > edges[k - 1]);
  }
}

TEST(Edges, TheLargestRangeDoesNotOverflow) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(LinearEdges(0, kMost, 800).size(), 801u);
  EXPECT_EQ(LogarithmicEdges(0, kMost, 800).back(), kMost);
}

}  // namespace
}  // namespace polyak::service
