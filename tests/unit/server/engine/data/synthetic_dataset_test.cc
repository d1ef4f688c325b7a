// Data drawn from a seed: which numbers of which stream become what, and the properties asked for.

#include <Eigen/SVD>

#include <cmath>
#include <limits>
#include <optional>

#include "gtest/gtest.h"
#include "server/engine/data/dataset.h"
#include "server/engine/linalg/orthonormal_columns.h"
#include "server/engine/random/normal_matrix.h"

namespace polyak::engine {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

DatasetSpec Synthetic(SyntheticKind kind, int64_t examples, int64_t inputs, int64_t outputs = 1) {
  SyntheticDataSpec synthetic;
  synthetic.kind = kind;
  synthetic.examples = examples;
  synthetic.input_dimension = inputs;
  synthetic.output_dimension = outputs;
  DatasetSpec spec;
  spec.source = synthetic;
  return spec;
}

SyntheticDataSpec& Source(DatasetSpec& spec) { return std::get<SyntheticDataSpec>(spec.source); }

Dataset Make(const DatasetSpec& spec, Seed job_seed) {
  auto data = MakeDataset(spec, job_seed);
  EXPECT_TRUE(data.ok()) << data.status();
  return *std::move(data);
}

TEST(SyntheticDataset, HasTheShapeAskedFor) {
  for (const SyntheticKind kind : {SyntheticKind::kLinearTeacher, SyntheticKind::kUnitSphere}) {
    const Dataset data = Make(Synthetic(kind, 6, 4, 3), Seed{1});
    EXPECT_EQ(data.features.rows(), 6);
    EXPECT_EQ(data.features.cols(), 4);
    EXPECT_EQ(data.targets.rows(), 6);
    EXPECT_EQ(data.targets.cols(), 3);
  }
}

TEST(SyntheticDataset, IsDrawnFromItsOwnSeedOrElseTheJobs) {
  for (const SyntheticKind kind : {SyntheticKind::kLinearTeacher, SyntheticKind::kUnitSphere}) {
    DatasetSpec spec = Synthetic(kind, 6, 4);
    const Dataset of_job = Make(spec, Seed{5});
    EXPECT_NE(of_job.features, Make(spec, Seed{6}).features);
    EXPECT_NE(of_job.targets, Make(spec, Seed{6}).targets);
    Source(spec).seed = Seed{5};
    const Dataset own = Make(spec, Seed{6});
    EXPECT_EQ(own.features, of_job.features);
    EXPECT_EQ(own.targets, of_job.targets);
  }
}

TEST(SyntheticDataset, KeepsItsFirstExamplesWhateverTheirNumber) {
  for (const SyntheticKind kind : {SyntheticKind::kLinearTeacher, SyntheticKind::kUnitSphere}) {
    const Dataset few = Make(Synthetic(kind, 5, 4), Seed{2});
    const Dataset many = Make(Synthetic(kind, 50, 4), Seed{2});
    EXPECT_EQ(many.features.topRows(5), few.features);
    // The teacher's products may be summed in another order for another number of rows.
    EXPECT_LE((many.targets.topRows(5) - few.targets).norm(), 8 * kEpsilon * few.targets.norm());
    DatasetSpec cut = Synthetic(kind, 50, 4);
    cut.first_examples = 5;
    EXPECT_EQ(Make(cut, Seed{2}).features, few.features);
  }
}

TEST(LinearTeacher, HasNormalFeaturesByRowsAndTargetsOfANormalTeacher) {
  const Dataset data = Make(Synthetic(SyntheticKind::kLinearTeacher, 7, 4, 2), Seed{3});
  const RandomStream features(Seed{3}, DrawPurpose::kFeatures);
  const RandomStream teacher(Seed{3}, DrawPurpose::kTargets);
  for (Eigen::Index i = 0; i < 7; ++i) {
    for (Eigen::Index j = 0; j < 4; ++j) {
      EXPECT_EQ(data.features(i, j), features.Normal(static_cast<uint64_t>(i * 4 + j)));
    }
    for (Eigen::Index k = 0; k < 2; ++k) {
      double expected = 0;  // y_k = sum_j T_kj x_j, T_kj ~ N(0, 1/4)
      for (Eigen::Index j = 0; j < 4; ++j) {
        expected += teacher.Normal(static_cast<uint64_t>(k * 4 + j)) / 2 * data.features(i, j);
      }
      EXPECT_NEAR(data.targets(i, k), expected, 4 * kEpsilon * 10);  // 4 terms below 10
    }
  }
}

struct ConditionCase {
  int64_t examples;
  int64_t inputs;
  double condition_number;
};

class ConditionNumber : public ::testing::TestWithParam<ConditionCase> {};

TEST_P(ConditionNumber, MakesSingularValuesLogUniformWithExactEnds) {
  const auto [examples, inputs, condition_number] = GetParam();
  DatasetSpec spec = Synthetic(SyntheticKind::kLinearTeacher, examples, inputs);
  Source(spec).condition_number = condition_number;
  const Eigen::JacobiSVD<Matrix> svd(Make(spec, Seed{8}).features);
  const Vector& values = svd.singularValues();
  const Eigen::Index rank = values.size();
  const double largest = std::sqrt(static_cast<double>(examples));
  // A product U S V' and its decomposition move every singular value by some n eps of the largest.
  const double rounding = static_cast<double>(examples + inputs) * kEpsilon * largest;
  for (Eigen::Index i = 0; i < rank; ++i) {
    const double share = rank == 1 ? 0 : static_cast<double>(i) / static_cast<double>(rank - 1);
    EXPECT_NEAR(values(i), largest * std::pow(condition_number, -share), rounding) << i;
  }
  EXPECT_NEAR(values(0), largest, rounding);
  if (rank > 1) {
    EXPECT_NEAR(values(rank - 1), largest / condition_number, rounding);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, ConditionNumber,
                         ::testing::Values(ConditionCase{40, 10, 30}, ConditionCase{10, 40, 30},
                                           ConditionCase{12, 12, 1e6}, ConditionCase{25, 6, 1},
                                           ConditionCase{9, 1, 1}, ConditionCase{1, 9, 1}));

TEST(ConditionNumber, RotatesByTheTwoStreamsOfTheFeatures) {
  DatasetSpec spec = Synthetic(SyntheticKind::kLinearTeacher, 9, 4);
  Source(spec).condition_number = 16;
  const Matrix left = OrthonormalColumns(
      NormalMatrixByRows(RandomStream(Seed{1}, DrawPurpose::kFeatures, 0), 9, 4));
  const Matrix right = OrthonormalColumns(
      NormalMatrixByRows(RandomStream(Seed{1}, DrawPurpose::kFeatures, 1), 4, 4));
  Vector values(4);
  values << 3, 3 / std::cbrt(16.0), 3 / std::cbrt(256.0), 3.0 / 16;
  const Matrix expected = left * values.asDiagonal() * right.transpose();
  EXPECT_LE((Make(spec, Seed{1}).features - expected).norm(), 100 * kEpsilon);
}

TEST(UnitSphere, IsTheFormulaOfIndividualAndSharedNormals) {
  const double correlation = 0.3;
  DatasetSpec spec = Synthetic(SyntheticKind::kUnitSphere, 6, 5, 2);
  Source(spec).correlation = correlation;
  const Dataset data = Make(spec, Seed{4});
  const RandomStream own(Seed{4}, DrawPurpose::kFeatures);
  const RandomStream shared(Seed{4}, DrawPurpose::kSharedFeature);
  const RandomStream targets(Seed{4}, DrawPurpose::kTargets);
  for (Eigen::Index i = 0; i < 6; ++i) {
    Vector x(5);
    for (Eigen::Index j = 0; j < 5; ++j) {
      x(j) = std::sqrt(1 - correlation) * own.Normal(static_cast<uint64_t>(i * 5 + j)) +
             std::sqrt(correlation) * shared.Normal(static_cast<uint64_t>(j));
    }
    EXPECT_LE((data.features.row(i).transpose() - x.normalized()).norm(), 8 * kEpsilon);
    for (Eigen::Index k = 0; k < 2; ++k) {
      EXPECT_EQ(data.targets(i, k), targets.Normal(static_cast<uint64_t>(i * 2 + k)));
    }
  }
}

TEST(UnitSphere, HasUnitRowsThatUnitNormLeavesAlone) {
  DatasetSpec spec = Synthetic(SyntheticKind::kUnitSphere, 20, 7);
  Source(spec).correlation = 0.8;
  const Dataset data = Make(spec, Seed{4});
  for (Eigen::Index i = 0; i < 20; ++i) {
    EXPECT_NEAR(data.features.row(i).norm(), 1, 8 * kEpsilon);
  }
  spec.scaling = FeatureScaling::kUnitNorm;
  EXPECT_LE((Make(spec, Seed{4}).features - data.features).norm(), 20 * 8 * kEpsilon);
}

TEST(UnitSphere, ExamplesMeetAtTheCosineAskedFor) {
  constexpr int64_t kInputs = 40000;
  for (const double correlation : {0.0, 0.25, 0.9}) {
    DatasetSpec spec = Synthetic(SyntheticKind::kUnitSphere, 6, kInputs);
    Source(spec).correlation = correlation;
    const Matrix features = Make(spec, Seed{7}).features;
    for (Eigen::Index i = 1; i < 6; ++i) {
      // x_0 . x_i = c |u|^2 / d + a sum of d independent products; each part's relative standard
      // deviation is at most sqrt(2 / d). Five of them.
      EXPECT_NEAR(features.row(0).dot(features.row(i)), correlation, 5 * std::sqrt(2.0 / kInputs));
    }
  }
}

TEST(UnitSphere, CorrelationChangesNoTarget) {
  DatasetSpec spec = Synthetic(SyntheticKind::kUnitSphere, 6, 5);
  const Dataset apart = Make(spec, Seed{4});
  Source(spec).correlation = 0.5;
  const Dataset together = Make(spec, Seed{4});
  EXPECT_EQ(together.targets, apart.targets);
  EXPECT_NE(together.features, apart.features);
}

}  // namespace
}  // namespace polyak::engine
