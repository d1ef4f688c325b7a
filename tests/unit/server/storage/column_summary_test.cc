#include "server/storage/column_summary.h"

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"

namespace polyak::storage {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

void ExpectSame(const ColumnSummary& a, const ColumnSummary& b) {
  const auto same = [](double x, double y) { return x == y || (std::isnan(x) && std::isnan(y)); };
  EXPECT_TRUE(same(a.first, b.first));
  EXPECT_TRUE(same(a.last, b.last));
  EXPECT_TRUE(same(a.min, b.min)) << a.min << " " << b.min;
  EXPECT_TRUE(same(a.max, b.max)) << a.max << " " << b.max;
  EXPECT_EQ(a.count, b.count);
  EXPECT_EQ(a.non_finite, b.non_finite);
}

ColumnSummary Of(std::span<const double> values) {
  ColumnSummary summary;
  AddValues(values, summary);
  return summary;
}

TEST(ColumnSummary, TakesLeastAndLargestOfTheFiniteValues) {
  const std::array<double, 7> values = {kNan, 3, -kInfinity, -2, kInfinity, 7, kNan};
  const ColumnSummary summary = Of(values);
  EXPECT_TRUE(std::isnan(summary.first));
  EXPECT_TRUE(std::isnan(summary.last));
  EXPECT_EQ(summary.min, -2);
  EXPECT_EQ(summary.max, 7);
  EXPECT_EQ(summary.count, 7);
  EXPECT_EQ(summary.non_finite, 4);
}

TEST(ColumnSummary, WithoutAFiniteValueThereIsNoLeastOne) {
  const std::array<double, 2> values = {kInfinity, kNan};
  EXPECT_TRUE(std::isnan(Of(values).min));
  EXPECT_TRUE(std::isnan(Of(values).max));
  EXPECT_EQ(Of(values).first, kInfinity);
  EXPECT_TRUE(std::isnan(Of({}).min));
  EXPECT_EQ(Of({}).count, 0);
}

// Values and summaries, added in two parts cut anywhere, an empty one among them.
TEST(ColumnSummary, DoesNotDependOnHowTheValuesAreCut) {
  const std::vector<double> values = {kNan, kInfinity, 5, -1, kNan, 9, 2, -kInfinity};
  const std::span<const double> all(values);
  for (size_t cut = 0; cut <= values.size(); ++cut) {
    ColumnSummary by_values = Of(all.first(cut));
    AddValues(all.subspan(cut), by_values);
    ExpectSame(by_values, Of(all));
    ColumnSummary by_summaries = Of(all.first(cut));
    AddSummary(Of(all.subspan(cut)), by_summaries);
    ExpectSame(by_summaries, Of(all));
  }
}

}  // namespace
}  // namespace polyak::storage
