#include "server/runner/known_problems.h"

#include <memory>
#include <vector>

#include "gtest/gtest.h"

namespace polyak::runner {
namespace {

KnownProblems::Instance Of(double entry) {
  auto instance = std::make_shared<engine::QuadraticInstance>();
  instance->hessian = std::make_shared<const engine::Matrix>(engine::Matrix::Constant(1, 1, entry));
  return instance;
}

TEST(KnownProblems, AreThoseThatSomebodyUsesTheNewestFirst) {
  KnownProblems known;
  EXPECT_TRUE(known.quadratics().empty());
  auto first = Of(1);
  const auto second = Of(2);
  known.AddUnlessKnown(first);
  known.AddUnlessKnown(second);
  known.AddUnlessKnown(first);
  EXPECT_EQ(known.quadratics(), (std::vector{first, second}));
  first.reset();
  EXPECT_EQ(known.quadratics(), std::vector{second});
}

TEST(KnownProblems, AreNotMoreThanOneWouldLookAt) {
  KnownProblems known;
  std::vector<KnownProblems::Instance> all;
  for (int k = 0; k < 40; ++k) {
    all.push_back(Of(k));
    known.AddUnlessKnown(all.back());
  }
  const auto found = known.quadratics();
  ASSERT_EQ(found.size(), 16U);
  EXPECT_EQ(found.front(), all[39]);
  EXPECT_EQ(found.back(), all[24]);
}

// Two that were prepared at once.
TEST(KnownProblems, HaveEachMatrixInOneObject) {
  KnownProblems known;
  const auto first = Of(1);
  const auto second = Of(1);
  EXPECT_EQ(known.AddUnlessKnown(first), nullptr);
  EXPECT_EQ(known.AddUnlessKnown(second), first);
  EXPECT_EQ(known.quadratics(), std::vector{first});
  const auto with_its_matrix = std::make_shared<engine::QuadraticInstance>(*first);
  EXPECT_EQ(known.AddUnlessKnown(with_its_matrix), nullptr);
  EXPECT_EQ(known.quadratics().size(), 2U);
}

}  // namespace
}  // namespace polyak::runner
