#include "server/engine/data/dataset.h"

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "server/engine/data/built_in.h"

namespace polyak::engine {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

// Irregular numbers of different sizes and offsets a column.
Dataset Irregular(Eigen::Index examples, Eigen::Index inputs) {
  Dataset data;
  data.features.resize(examples, inputs);
  data.targets.resize(examples, 2);
  for (Eigen::Index i = 0; i < examples; ++i) {
    for (Eigen::Index j = 0; j < inputs; ++j) {
      const auto k = static_cast<double>(i * inputs + j);
      data.features(i, j) =
          static_cast<double>(3 * j) + std::pow(10, j) * std::sin(12.9898 * k * k);
    }
    data.targets(i, 0) = static_cast<double>(100 + i);
    data.targets(i, 1) = -static_cast<double>(i);
  }
  return data;
}

DatasetSpec Inline(Dataset data, FeatureScaling scaling, int64_t first_examples = 0) {
  DatasetSpec spec;
  spec.source = std::make_shared<const Dataset>(std::move(data));
  spec.scaling = scaling;
  spec.first_examples = first_examples;
  return spec;
}

Dataset Make(const DatasetSpec& spec) {
  auto data = MakeDataset(spec, Seed{});
  EXPECT_TRUE(data.ok()) << data.status();
  return *std::move(data);
}

Dataset OneColumn(const Vector& column) {
  Dataset data;
  data.features = column;
  data.targets = Matrix::Zero(column.size(), 1);
  return data;
}

TEST(Dataset, WithoutScalingIsWhatWasGiven) {
  const Dataset given = Irregular(7, 3);
  const Dataset data = Make(Inline(given, FeatureScaling::kNone));
  EXPECT_EQ(data.features, given.features);
  EXPECT_EQ(data.targets, given.targets);
}

TEST(Dataset, TargetsAreNeverScaled) {
  const Dataset given = Irregular(7, 3);
  EXPECT_EQ(Make(Inline(given, FeatureScaling::kStandardized)).targets, given.targets);
  EXPECT_EQ(Make(Inline(given, FeatureScaling::kUnitNorm)).targets, given.targets);
}

TEST(Standardized, HasColumnsOfMeanZeroAndPopulationDeviationOne) {
  const Dataset data = Make(Inline(Irregular(50, 5), FeatureScaling::kStandardized));
  for (Eigen::Index j = 0; j < 5; ++j) {
    // Sums of 50 terms of about the deviation's size (offsets here are at most 12 of them).
    EXPECT_NEAR(data.features.col(j).mean(), 0, 13 * 50 * kEpsilon);
    EXPECT_NEAR(data.features.col(j).squaredNorm() / 50, 1, 50 * kEpsilon);
  }
}

TEST(Standardized, UsesThePopulationDeviation) {
  // 0 and 2: mean 1, population deviation 1 (the sample's is sqrt 2).
  const Dataset data =
      Make(Inline(OneColumn(Eigen::Vector2d(0, 2)), FeatureScaling::kStandardized));
  EXPECT_EQ(data.features(0, 0), -1);
  EXPECT_EQ(data.features(1, 0), 1);
}

TEST(Standardized, AConstantColumnBecomesZeroHoweverManyExamplesThereAre) {
  // The mean of n times 0.1 differs from 0.1 by a rounding that grows with n.
  for (const Eigen::Index examples : {1, 2, 3, 1000, 100000}) {
    for (const double value : {0.0, 0.1, -1.0 / 3, 1e-310, 1e300, 1.7e308}) {
      const Dataset data =
          Make(Inline(OneColumn(Vector::Constant(examples, value)), FeatureScaling::kStandardized));
      EXPECT_TRUE(data.features.isZero(0)) << examples << " times " << value;
    }
  }
}

TEST(Standardized, AColumnThatVariesByRoundingAloneBecomesZero) {
  Vector column = Vector::Constant(10, 1.0);
  column(3) = 1 + kEpsilon;
  const Dataset data = Make(Inline(OneColumn(column), FeatureScaling::kStandardized));
  EXPECT_TRUE(data.features.isZero(0));
}

TEST(Standardized, DoesNotDependOnTheUnitOfAColumnUpToTheEndsOfTheNumbers) {
  const Vector column = Irregular(40, 1).features.col(0);
  const Matrix expected = Make(Inline(OneColumn(column), FeatureScaling::kStandardized)).features;
  // Powers of two round nothing, so even the bits are the same.
  for (const double unit : {0x1p-900, 0x1p-600, 0x1p-30, 0x1p30, 0x1p600, 0x1p1022}) {
    EXPECT_EQ(Make(Inline(OneColumn(unit * column), FeatureScaling::kStandardized)).features,
              expected)
        << unit;
  }
}

TEST(UnitNorm, HasRowsOfNormOneInTheirDirection) {
  const Dataset given = Irregular(30, 5);
  const Dataset data = Make(Inline(given, FeatureScaling::kUnitNorm));
  for (Eigen::Index i = 0; i < 30; ++i) {
    // A norm of 5 squares, a root, 5 quotients: a few eps.
    EXPECT_NEAR(data.features.row(i).norm(), 1, 8 * kEpsilon);
    EXPECT_NEAR(data.features.row(i).dot(given.features.row(i)), given.features.row(i).norm(),
                8 * kEpsilon * given.features.row(i).norm());
  }
}

TEST(UnitNorm, DoesNotDependOnTheUnitUpToTheEndsOfTheNumbers) {
  Dataset given;
  given.features.resize(1, 3);
  given.features << 1, -1.5, 1.25;
  given.targets = Matrix::Zero(1, 1);
  const Matrix expected = Make(Inline(given, FeatureScaling::kUnitNorm)).features;
  for (const double unit : {0x1p-1070, 0x1p-600, 0x1p-30, 0x1p30, 0x1p600, 0x1p1023}) {
    Dataset scaled = given;
    scaled.features *= unit;
    const Matrix features = Make(Inline(scaled, FeatureScaling::kUnitNorm)).features;
    EXPECT_LE((features - expected).norm(), 8 * kEpsilon) << unit;
  }
}

TEST(UnitNorm, RefusesAZeroRowAndNamesIt) {
  Dataset given = Irregular(6, 3);
  given.features.row(4).setZero();
  const auto data = MakeDataset(Inline(given, FeatureScaling::kUnitNorm), Seed{});
  ASSERT_EQ(data.status().code(), absl::StatusCode::kInvalidArgument);
  const std::string message(data.status().message());
  EXPECT_NE(message.find("row 4 "), std::string::npos) << message;
  EXPECT_NE(message.find("accepted: rows that are not zero"), std::string::npos) << message;
}

TEST(FirstExamples, AreCutBeforeScaling) {
  for (const FeatureScaling scaling :
       {FeatureScaling::kNone, FeatureScaling::kStandardized, FeatureScaling::kUnitNorm}) {
    const Dataset given = Irregular(20, 3);
    Dataset cut;
    cut.features = given.features.topRows(8);
    cut.targets = given.targets.topRows(8);
    const Dataset expected = Make(Inline(cut, scaling));
    const Dataset data = Make(Inline(given, scaling, 8));
    EXPECT_EQ(data.features, expected.features);
    EXPECT_EQ(data.targets, expected.targets);
  }
}

TEST(FirstExamples, OfABuiltInSetAreStandardizedAmongThemselves) {
  DatasetSpec spec;
  spec.source = FindBuiltInDataset("datasets/diabetes")->data;
  spec.first_examples = 50;
  spec.scaling = FeatureScaling::kStandardized;
  const Dataset data = Make(spec);
  ASSERT_EQ(data.features.rows(), 50);
  for (Eigen::Index j = 0; j < 10; ++j) {
    EXPECT_NEAR(data.features.col(j).mean(), 0, 100 * kEpsilon);
    EXPECT_NEAR(data.features.col(j).squaredNorm() / 50, 1, 100 * kEpsilon);
  }
}

TEST(FirstExamples, ARowBeyondTheCutIsNotLookedAt) {
  Dataset given = Irregular(6, 3);
  given.features.row(4).setZero();
  EXPECT_TRUE(MakeDataset(Inline(given, FeatureScaling::kUnitNorm, 4), Seed{}).ok());
}

TEST(FirstExamples, ZeroAndTheNumberOfExamplesMeanAllAndMoreIsRefused) {
  const Dataset given = Irregular(6, 3);
  EXPECT_EQ(Make(Inline(given, FeatureScaling::kNone, 0)).features, given.features);
  EXPECT_EQ(Make(Inline(given, FeatureScaling::kNone, 6)).features, given.features);
  const auto data = MakeDataset(Inline(given, FeatureScaling::kNone, 7), Seed{});
  ASSERT_EQ(data.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(data.status().message(),
            "first_examples is 7; accepted: 0 to 6, the number of examples");
}

}  // namespace
}  // namespace polyak::engine
