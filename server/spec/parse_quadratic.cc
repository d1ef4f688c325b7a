#include <algorithm>
#include <cmath>

#include "server/spec/parse_dataset.h"
#include "server/spec/parse_problem.h"
#include "server/spec/parse_values.h"

namespace polyak::spec {
namespace {

constexpr double kSymmetryTolerance = 1e-12;  // relative to the largest entry
const char kPath[] = "spec.quadratic";

// Returns the dimension, 0 if unknown.
int64_t ParseHessianMatrix(const v1::Matrix& message, const Limits& limits,
                           engine::QuadraticSpec& spec, Violations& violations) {
  const std::string path = absl::StrCat(kPath, ".matrix");
  const auto matrix = ParseMatrix(
      message, {limits.max_matrix_dimension, limits.max_matrix_dimension}, path, violations);
  if (matrix == nullptr) {
    return 0;
  }
  if (matrix->rows() != matrix->cols()) {
    violations.Add(path,
                   Refusal(absl::StrCat(matrix->rows(), " x ", matrix->cols()), "a square matrix"));
    return 0;
  }
  const double largest = matrix->cwiseAbs().maxCoeff();
  Eigen::Index row = 0;
  Eigen::Index col = 0;
  const double difference = (*matrix - matrix->transpose()).cwiseAbs().maxCoeff(&row, &col);
  if (difference > kSymmetryTolerance * largest) {
    violations.Add(
        path, absl::StrCat("is not symmetric: entries (", row, ", ", col, ") and (", col, ", ", row,
                           ") are ", (*matrix)(row, col), " and ", (*matrix)(col, row),
                           "; accepted: equal to 1e-12 of the largest entry"));
  }
  // Halves are added, since a sum may leave the numbers.
  spec.hessian = std::make_shared<const engine::Matrix>(0.5 * *matrix + 0.5 * matrix->transpose());
  return matrix->rows();
}

int64_t ParseExplicitSpectrum(const v1::ExplicitSpectrum& message, const Limits& limits,
                              engine::QuadraticSpec& spec, Violations& violations) {
  const std::string path = absl::StrCat(kPath, ".spectrum.explicit.eigenvalues");
  if (message.eigenvalues_size() == 0 || message.eigenvalues_size() > limits.max_dimension) {
    violations.Add(path, absl::StrCat("has ", message.eigenvalues_size(),
                                      " numbers; accepted: 1 to ", limits.max_dimension));
    return 0;
  }
  const auto eigenvalues = ParseVector(message.eigenvalues(), path, violations);
  if (eigenvalues == nullptr) {
    return 0;
  }
  const double largest = eigenvalues->maxCoeff();
  if (largest <= 0) {
    violations.Add(path,
                   Refusal(absl::StrCat(largest, " at most"), "at least one eigenvalue above 0"));
  }
  for (Eigen::Index i = 0; i < eigenvalues->size(); ++i) {
    if (largest > 0 && engine::IsIndefinite((*eigenvalues)(i), largest)) {
      violations.Add(absl::StrCat(path, "[", i, "]"),
                     Refusal((*eigenvalues)(i), "not below -1e-13 of the largest eigenvalue"));
    }
  }
  spec.hessian = eigenvalues;
  return eigenvalues->size();
}

int64_t ParseGeneratedSpectrum(const v1::GeneratedSpectrum& message, const Limits& limits,
                               engine::QuadraticSpec& spec, Violations& violations) {
  const std::string path = absl::StrCat(kPath, ".spectrum.generated");
  engine::GeneratedSpectrumSpec generated;
  const bool known =
      CheckRange(message.dimension(), 1, limits.max_dimension, path + ".dimension", violations);
  generated.dimension = message.dimension();
  generated.condition_number = message.condition_number();
  if (!(std::isfinite(generated.condition_number) && generated.condition_number >= 1)) {
    violations.Add(path + ".condition_number",
                   Refusal(message.condition_number(), "a finite number of at least 1"));
  } else if (generated.dimension == 1 && generated.condition_number != 1) {
    violations.Add(path + ".condition_number",
                   Refusal(message.condition_number(), "1 when dimension is 1"));
  }
  generated.smoothness = message.smoothness() == 0 ? 1 : message.smoothness();
  if (!(std::isfinite(generated.smoothness) && generated.smoothness > 0)) {
    violations.Add(path + ".smoothness",
                   Refusal(message.smoothness(), "a finite number above 0, or unset for 1"));
  }
  switch (message.shape()) {
    case v1::GeneratedSpectrum::SHAPE_UNSPECIFIED:
    case v1::GeneratedSpectrum::SHAPE_LOG_UNIFORM:
      generated.shape = engine::SpectrumShape::kLogUniform;
      break;
    case v1::GeneratedSpectrum::SHAPE_UNIFORM:
      generated.shape = engine::SpectrumShape::kUniform;
      break;
    case v1::GeneratedSpectrum::SHAPE_TWO_CLUSTERS:
      generated.shape = engine::SpectrumShape::kTwoClusters;
      break;
    case v1::GeneratedSpectrum::SHAPE_CHEBYSHEV:
      generated.shape = engine::SpectrumShape::kChebyshev;
      break;
    default:
      violations.Add(
          path + ".shape",
          Refusal(static_cast<int>(message.shape()),
                  "SHAPE_UNIFORM, SHAPE_LOG_UNIFORM, SHAPE_TWO_CLUSTERS, SHAPE_CHEBYSHEV"));
  }
  spec.hessian = generated;
  return known ? generated.dimension : 0;
}

int64_t ParseLeastSquares(const v1::LeastSquares& message, const Limits& limits,
                          engine::QuadraticSpec& spec, Violations& violations) {
  const std::string path = absl::StrCat(kPath, ".least_squares");
  DatasetRules rules;
  rules.one_target_column = true;
  const ParsedDataset data =
      ParseDataset(message.dataset(), rules, limits, path + ".dataset", violations);
  if (data.inputs > limits.max_matrix_dimension) {
    violations.Add(
        path + ".dataset",
        absl::StrCat("has ", data.inputs, " columns; accepted: up to ", limits.max_matrix_dimension,
                     ", since the Hessian is a full matrix"));
  }
  if (!(std::isfinite(message.ridge()) && message.ridge() >= 0)) {
    violations.Add(path + ".ridge", Refusal(message.ridge(), "a finite number of at least 0"));
  }
  spec.hessian = engine::LeastSquaresSpec{data.spec, message.ridge()};
  return data.inputs;
}

int64_t ParseHessian(const v1::QuadraticProblem& message, const Limits& limits,
                     engine::QuadraticSpec& spec, Violations& violations) {
  switch (message.hessian_case()) {
    case v1::QuadraticProblem::kMatrix:
      return ParseHessianMatrix(message.matrix(), limits, spec, violations);
    case v1::QuadraticProblem::kLeastSquares:
      return ParseLeastSquares(message.least_squares(), limits, spec, violations);
    case v1::QuadraticProblem::kSpectrum:
      switch (message.spectrum().kind_case()) {
        case v1::Spectrum::kExplicit:
          return ParseExplicitSpectrum(message.spectrum().explicit_(), limits, spec, violations);
        case v1::Spectrum::kGenerated:
          return ParseGeneratedSpectrum(message.spectrum().generated(), limits, spec, violations);
        case v1::Spectrum::KIND_NOT_SET:
          violations.Add(absl::StrCat(kPath, ".spectrum.kind"),
                         Refusal("not set", "explicit or generated"));
          return 0;
      }
      return 0;
    case v1::QuadraticProblem::HESSIAN_NOT_SET:
      violations.Add(absl::StrCat(kPath, ".hessian"),
                     Refusal("not set", "matrix, spectrum or least_squares"));
      return 0;
  }
  return 0;
}

// A vector of the problem's dimension; null if the field is empty.
std::shared_ptr<const engine::Vector> ParseOfDimension(
    const google::protobuf::RepeatedField<double>& values, int64_t dimension,
    const std::string& path, Violations& violations) {
  if (values.empty()) {
    return nullptr;
  }
  if (dimension > 0 && values.size() != dimension) {
    violations.Add(path, absl::StrCat("has ", values.size(), " numbers; accepted: ", dimension,
                                      ", the dimension of the problem, or none"));
  }
  return ParseVector(values, path, violations);
}

}  // namespace

engine::QuadraticSpec ParseQuadratic(const v1::QuadraticProblem& message, const Limits& limits,
                                     Violations& violations) {
  engine::QuadraticSpec spec;
  const int64_t dimension = ParseHessian(message, limits, spec, violations);
  const std::string linear_term = absl::StrCat(kPath, ".linear_term");
  if (message.has_least_squares() && !message.linear_term().empty()) {
    violations.Add(
        linear_term,
        absl::StrCat("has ", message.linear_term_size(),
                     " numbers; accepted: none with least_squares, which makes its own"));
  }
  spec.linear_term = ParseOfDimension(message.linear_term(), dimension, linear_term, violations);
  spec.initial_point = ParseOfDimension(message.initial_point(), dimension,
                                        absl::StrCat(kPath, ".initial_point"), violations);
  return spec;
}

}  // namespace polyak::spec
