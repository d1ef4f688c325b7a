#include "server/runner/known_problems.h"

#include <memory>
#include <vector>

#include "gtest/gtest.h"

namespace polyak::runner {
namespace {

KnownProblems::Instance Any() { return std::make_shared<const engine::QuadraticInstance>(); }

TEST(KnownProblems, AreThoseThatSomebodyUsesTheNewestFirst) {
  KnownProblems known;
  EXPECT_TRUE(known.quadratics().empty());
  auto first = Any();
  const auto second = Any();
  known.Add(first);
  known.Add(second);
  known.Add(first);
  EXPECT_EQ(known.quadratics(), (std::vector{first, second}));
  first.reset();
  EXPECT_EQ(known.quadratics(), std::vector{second});
}

TEST(KnownProblems, AreNotMoreThanOneWouldLookAt) {
  KnownProblems known;
  std::vector<KnownProblems::Instance> all;
  for (int k = 0; k < 40; ++k) {
    all.push_back(Any());
    known.Add(all.back());
  }
  const auto found = known.quadratics();
  ASSERT_EQ(found.size(), 16U);
  EXPECT_EQ(found.front(), all[39]);
  EXPECT_EQ(found.back(), all[24]);
}

}  // namespace
}  // namespace polyak::runner
