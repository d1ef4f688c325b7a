#include "server/engine/data/dataset.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/engine/linalg/orthonormal_columns.h"
#include "server/engine/random/normal_matrix.h"

namespace polyak::engine {
namespace {

// U diag(s) V' with s log-uniform from sqrt(n) down to sqrt(n) / condition_number.
Matrix FeaturesWithCondition(Seed seed, int64_t rows, int64_t cols, double condition_number) {
  const int64_t rank = std::min(rows, cols);
  const Matrix left = OrthonormalColumns(
      NormalMatrixByRows(RandomStream(seed, DrawPurpose::kFeatures), rows, rank));
  const Matrix right = OrthonormalColumns(
      NormalMatrixByRows(RandomStream(seed, DrawPurpose::kFeatures, 1), cols, rank));
  Vector singular_values(rank);
  for (int64_t i = 0; i < rank; ++i) {
    const double share = rank == 1 ? 0 : static_cast<double>(i) / static_cast<double>(rank - 1);
    singular_values(i) = std::sqrt(static_cast<double>(rows)) * std::pow(condition_number, -share);
  }
  return left * singular_values.asDiagonal() * right.transpose();
}

Dataset DrawLinearTeacher(const SyntheticDataSpec& spec, Seed seed) {
  Dataset data;
  data.features =
      spec.condition_number.has_value()
          ? FeaturesWithCondition(seed, spec.examples, spec.input_dimension, *spec.condition_number)
          : NormalMatrixByRows(RandomStream(seed, DrawPurpose::kFeatures), spec.examples,
                               spec.input_dimension);
  const Matrix teacher = NormalMatrixByRows(RandomStream(seed, DrawPurpose::kTargets),
                                            spec.output_dimension, spec.input_dimension) /
                         std::sqrt(static_cast<double>(spec.input_dimension));
  data.targets = data.features * teacher.transpose();
  return data;
}

Dataset DrawUnitSphere(const SyntheticDataSpec& spec, Seed seed) {
  Dataset data;
  data.features = NormalMatrixByRows(RandomStream(seed, DrawPurpose::kFeatures), spec.examples,
                                     spec.input_dimension);
  const Matrix shared =
      NormalMatrixByRows(RandomStream(seed, DrawPurpose::kSharedFeature), 1, spec.input_dimension);
  data.features *= std::sqrt(1 - spec.correlation);
  data.features.rowwise() += std::sqrt(spec.correlation) * shared.row(0);
  data.features.rowwise().normalize();
  data.targets = NormalMatrixByRows(RandomStream(seed, DrawPurpose::kTargets), spec.examples,
                                    spec.output_dimension);
  return data;
}

// Brings values whose sums or squares would leave the numbers near 1, by a power of two. For what
// is about to lose its unit anyway.
template <typename Values>
void BringIntoRange(Values values) {
  const double largest = values.cwiseAbs().maxCoeff();
  if (largest > 0 && (largest < 1e-140 || largest > 1e140)) {
    const int exponent = std::ilogb(largest);
    values = values.unaryExpr([exponent](double value) { return std::ldexp(value, -exponent); });
  }
}

void Standardize(Matrix& features) {
  const auto rows = static_cast<double>(features.rows());
  for (Eigen::Index j = 0; j < features.cols(); ++j) {
    // The mean of many equal numbers is not always that number, so a constant column is one whose
    // values are equal, not one without deviation.
    if (features.col(j).minCoeff() == features.col(j).maxCoeff()) {
      features.col(j).setZero();
      continue;
    }
    BringIntoRange(features.col(j));
    const double mean = features.col(j).sum() / rows;
    features.col(j).array() -= mean;
    const double deviation = std::sqrt(features.col(j).squaredNorm() / rows);
    // A column that varies by its rounding alone leaves nothing but the rounding of its mean.
    if (deviation > 1e-14 * std::abs(mean)) {
      features.col(j) /= deviation;
    } else {
      features.col(j).setZero();
    }
  }
}

absl::Status NormalizeRows(Matrix& features) {
  for (Eigen::Index i = 0; i < features.rows(); ++i) {
    BringIntoRange(features.row(i));
    const double norm = features.row(i).stableNorm();
    if (norm == 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "row ", i,
          " of the features is zero, which has no unit norm; accepted: rows that are not zero"));
    }
    features.row(i) /= norm;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Dataset> MakeDataset(const DatasetSpec& spec, Seed job_seed) {
  Dataset data;
  if (const auto* shared = std::get_if<std::shared_ptr<const Dataset>>(&spec.source)) {
    data = **shared;
  } else if (const auto* stored = std::get_if<StoredDataSpec>(&spec.source)) {
    POLYAK_ASSIGN_OR_RETURN(
        data,
        stored->load(spec.first_examples == 0 ? stored->examples
                                              : std::min(spec.first_examples, stored->examples)));
  } else {
    const auto& synthetic = std::get<SyntheticDataSpec>(spec.source);
    const Seed seed = synthetic.seed.value_or(job_seed);
    data = synthetic.kind == SyntheticKind::kLinearTeacher ? DrawLinearTeacher(synthetic, seed)
                                                           : DrawUnitSphere(synthetic, seed);
  }
  if (spec.first_examples > data.features.rows()) {
    return absl::InvalidArgumentError(absl::StrCat("first_examples is ", spec.first_examples,
                                                   "; accepted: 0 to ", data.features.rows(),
                                                   ", the number of examples"));
  }
  if (spec.first_examples > 0) {
    data.features = data.features.topRows(spec.first_examples).eval();
    data.targets = data.targets.topRows(spec.first_examples).eval();
  }
  if (spec.scaling == FeatureScaling::kStandardized) {
    Standardize(data.features);
  } else if (spec.scaling == FeatureScaling::kUnitNorm) {
    POLYAK_RETURN_IF_ERROR(NormalizeRows(data.features));
  }
  return data;
}

}  // namespace polyak::engine
