#include "server/spec/parse_values.h"

#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::spec {
namespace {

using ::testing::HasSubstr;

v1::Matrix MatrixOf(int rows, int cols, const std::vector<double>& values) {
  v1::Matrix message;
  message.set_rows(rows);
  message.set_cols(cols);
  message.mutable_values()->Add(values.begin(), values.end());
  return message;
}

TEST(ParseMatrix, ReadsRowByRow) {
  Violations violations;
  const auto matrix = ParseMatrix(MatrixOf(2, 3, {1, 2, 3, 4, 5, 6}), {2, 3}, "m", violations);
  ASSERT_NE(matrix, nullptr);
  EXPECT_EQ((*matrix)(0, 1), 2);
  EXPECT_EQ((*matrix)(1, 0), 4);
  EXPECT_EQ((*matrix)(1, 2), 6);
}

TEST(ParseMatrix, NamesEachSizeOverItsLimit) {
  Violations violations;
  EXPECT_EQ(ParseMatrix(MatrixOf(3, 4, {}), {2, 3}, "m", violations), nullptr);
  ASSERT_EQ(violations.count(), 2);
  EXPECT_EQ(violations.kept()[0].field, "m.rows");
  EXPECT_EQ(violations.kept()[0].description, "is 3; accepted: 1 to 2");
  EXPECT_EQ(violations.kept()[1].field, "m.cols");
}

// 2^31 - 1 squared is above 2^61: neither the product nor anything made of it may overflow.
TEST(ParseMatrix, TheLargestSizesWithFewValuesAreRefusedNotAllocated) {
  constexpr int kMost = std::numeric_limits<int32_t>::max();
  Violations violations;
  EXPECT_EQ(ParseMatrix(MatrixOf(kMost, kMost, {1}), {kMost, kMost}, "m", violations), nullptr);
  ASSERT_EQ(violations.count(), 1);
  EXPECT_EQ(violations.kept()[0].field, "m.values");
  EXPECT_EQ(violations.kept()[0].description,
            "has 1 numbers; accepted: rows x cols = 4611686014132420609");
}

TEST(ParseMatrix, NamesEveryNumberThatIsNotFinite) {
  const double infinity = std::numeric_limits<double>::infinity();
  Violations violations;
  EXPECT_EQ(ParseMatrix(MatrixOf(2, 2, {infinity, 0, std::nan(""), 0}), {2, 2}, "m", violations),
            nullptr);
  ASSERT_EQ(violations.count(), 2);
  EXPECT_EQ(violations.kept()[0].field, "m.values[0]");
  EXPECT_EQ(violations.kept()[1].field, "m.values[2]");
  EXPECT_THAT(violations.kept()[1].description, HasSubstr("is nan; accepted: a finite number"));
}

TEST(ParseVector, KeepsOrderAndRefusesWhatIsNotFinite) {
  Violations violations;
  google::protobuf::RepeatedField<double> values;
  values.Add(3);
  values.Add(-1);
  const auto vector = ParseVector(values, "v", violations);
  ASSERT_NE(vector, nullptr);
  EXPECT_EQ((*vector)(0), 3);
  EXPECT_EQ((*vector)(1), -1);
  values.Add(-std::numeric_limits<double>::infinity());
  EXPECT_EQ(ParseVector(values, "v", violations), nullptr);
  ASSERT_EQ(violations.count(), 1);
  EXPECT_EQ(violations.kept()[0].field, "v[2]");
}

TEST(CheckRange, BothEndsAreInside) {
  Violations violations;
  EXPECT_TRUE(CheckRange(1, 1, 5, "n", violations));
  EXPECT_TRUE(CheckRange(5, 1, 5, "n", violations));
  EXPECT_FALSE(CheckRange(0, 1, 5, "n", violations));
  EXPECT_FALSE(CheckRange(std::numeric_limits<int64_t>::min(), 1, 5, "n", violations));
  EXPECT_EQ(violations.count(), 2);
}

}  // namespace
}  // namespace polyak::spec
