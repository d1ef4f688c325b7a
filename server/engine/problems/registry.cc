#include "server/engine/problems/registry.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/double_buffer.h"
#include "server/base/overloaded.h"
#include "server/base/status_macros.h"

namespace polyak::engine {
namespace {

constexpr double kDoubleBytes = sizeof(double);

ProblemCost Cost(const QuadraticSpec& spec) {
  double dimension = 0;
  double data_values = 0;
  double data_operations = 0;
  bool diagonal = false;
  if (const auto* matrix = std::get_if<std::shared_ptr<const Matrix>>(&spec.hessian)) {
    dimension = static_cast<double>((*matrix)->rows());
  } else if (const auto* eigenvalues = std::get_if<std::shared_ptr<const Vector>>(&spec.hessian)) {
    dimension = static_cast<double>((*eigenvalues)->size());
    diagonal = true;
  } else if (const auto* generated = std::get_if<GeneratedSpectrumSpec>(&spec.hessian)) {
    dimension = static_cast<double>(generated->dimension);
    diagonal = true;
  } else {
    const DataShape shape = ShapeOf(std::get<LeastSquaresSpec>(spec.hessian).dataset);
    dimension = shape.inputs;
    data_values = 2 * shape.examples * (shape.inputs + shape.outputs);
    const auto* drawn =
        std::get_if<SyntheticDataSpec>(&std::get<LeastSquaresSpec>(spec.hessian).dataset.source);
    if (drawn != nullptr && drawn->condition_number.has_value()) {
      // The factors behind the features.
      data_values += 2 * (shape.examples + shape.inputs) * std::min(shape.examples, shape.inputs);
    }
    data_operations = shape.examples * shape.inputs * shape.inputs;
  }
  ProblemCost cost;
  cost.parameters = dimension;
  if (diagonal) {
    cost.setup_operations = 10 * dimension;
    cost.operations_per_iteration = 8 * dimension;
    cost.bytes = kDoubleBytes * 7 * dimension;
  } else {
    // Eigenvectors of a small matrix; else the tridiagonal form, its reduction's copy of H and the
    // reflectors, which are kept.
    const bool vectors = dimension <= static_cast<double>(kEigenvectorsDimensionMax);
    const double squared = dimension * dimension;
    cost.setup_operations =
        data_operations + (vectors ? 9 * dimension : 4.0 / 3 * dimension + 200) * squared;
    cost.operations_per_iteration = 2 * squared;
    cost.bytes = kDoubleBytes * (data_values + (vectors ? 5 * squared + 7 * dimension
                                                        : 3 * squared + 400 * dimension));
  }
  return cost;
}

ProblemCost Cost(const ReluNetworkSpec& spec) {
  const DataShape shape = ShapeOf(spec.dataset);
  const auto width = static_cast<double>(spec.width);
  const DataCost data = EstimateDataCost(spec);
  ProblemCost cost;
  cost.parameters = width * shape.inputs;
  cost.operations_per_iteration = 4 * width * shape.examples * shape.inputs;
  cost.setup_operations =
      2 * cost.operations_per_iteration + 20 * cost.parameters + data.setup_operations;
  // Z, a bit for each of its signs at the start, and output weights.
  cost.bytes = data.instance_bytes + data.setup_bytes +
               base::AllocatedBytes(width * shape.examples) + width * shape.examples / 8 +
               3 * base::AllocatedBytes(width);
  return cost;
}

ProblemCost Cost(const DeepLinearNetworkSpec& spec) {
  const DataShape shape = ShapeOf(spec.dataset);
  const auto width = static_cast<double>(spec.width);
  const double hidden_layers = spec.depth - 2;
  const double rank = std::min(shape.examples, shape.inputs);
  ProblemCost cost;
  cost.parameters = hidden_layers * width * width + width * (shape.inputs + shape.outputs);
  cost.operations_per_iteration = 6 * rank * cost.parameters;
  const DataCost data = EstimateDataCost(spec);
  cost.setup_operations =
      4 * hidden_layers * std::pow(width, 3) + 20 * cost.parameters + data.setup_operations;
  // What the start takes beside its weights: of those that are copied the largest one, of given
  // ones the spans that they are looked at in as well; else a layer's normals, their QR and its
  // factor, and for the last one the position of the spans before.
  const double largest =
      width * std::max({shape.inputs, shape.outputs, hidden_layers > 0 ? width : 0.0});
  double start = largest;
  if (spec.initial_weights != nullptr) {
    start = 2 * largest + 4 * width * (rank + shape.outputs);
  } else if (spec.initialization == DeepLinearInitialization::kOrthogonal) {
    const double layer = 4 * width * (hidden_layers > 0 ? width : shape.inputs);
    const double rest = std::min(shape.outputs, width - std::min(rank, width));
    start = std::max(layer, DecompositionBytes(rank + rest, shape.outputs) / kDoubleBytes +
                                5 * width * shape.outputs);
  }
  // Images of the data behind each layer, of the outputs before it, and its slopes; the data
  // themselves twice, while they are copied. In strips of eight rows.
  const auto strips = [](double rows) { return std::ceil(rows / 8) * 8; };
  const double columns = std::min(rank, shape.outputs);
  const double run = spec.depth * strips(width) * (rank + 2 * columns) +
                     strips(shape.inputs) * (2 * rank + columns) +
                     strips(shape.outputs) * (3 * rank + columns);
  cost.bytes = data.instance_bytes + std::max(data.setup_bytes, kDoubleBytes * (start + run));
  if (spec.initial_weights != nullptr) {
    cost.bytes += kDoubleBytes * cost.parameters;
  }
  return cost;
}

std::vector<ParameterMatrix> Matrices(const QuadraticSpec& spec) {
  return {{"w", static_cast<int64_t>(Cost(spec).parameters), 1}};
}

std::vector<ParameterMatrix> Matrices(const ReluNetworkSpec& spec) {
  return {{"W", spec.width, static_cast<int64_t>(ShapeOf(spec.dataset).inputs)}};
}

std::vector<ParameterMatrix> Matrices(const DeepLinearNetworkSpec& spec) {
  const DataShape shape = ShapeOf(spec.dataset);
  std::vector<ParameterMatrix> matrices;
  for (int layer = 1; layer <= spec.depth; ++layer) {
    matrices.push_back({absl::StrCat("W_", layer),
                        layer == spec.depth ? static_cast<int64_t>(shape.outputs) : spec.width,
                        layer == 1 ? static_cast<int64_t>(shape.inputs) : spec.width});
  }
  return matrices;
}

template <typename Instance>
absl::StatusOr<ProblemInstance> Wrap(absl::StatusOr<std::shared_ptr<const Instance>> instance) {
  if (!instance.ok()) {
    return std::move(instance).status();
  }
  return ProblemInstance(*std::move(instance));
}

}  // namespace

DataShape ShapeOf(const DatasetSpec& spec) {
  DataShape shape;
  if (const auto* data = std::get_if<std::shared_ptr<const Dataset>>(&spec.source)) {
    shape = {static_cast<double>((*data)->features.rows()),
             static_cast<double>((*data)->features.cols()),
             static_cast<double>((*data)->targets.cols())};
  } else if (const auto* stored = std::get_if<StoredDataSpec>(&spec.source)) {
    shape = {static_cast<double>(stored->examples), static_cast<double>(stored->input_dimension),
             static_cast<double>(stored->output_dimension)};
  } else {
    const auto& synthetic = std::get<SyntheticDataSpec>(spec.source);
    shape = {static_cast<double>(synthetic.examples),
             static_cast<double>(synthetic.input_dimension),
             static_cast<double>(synthetic.output_dimension)};
  }
  if (spec.first_examples > 0) {
    shape.examples = std::min(shape.examples, static_cast<double>(spec.first_examples));
  }
  return shape;
}

double DecompositionBytes(double rows, double cols) {
  const double longer = std::max(rows, cols);
  const double shorter = std::min(rows, cols);
  // The matrix, its copies on the way to two diagonals, the squares that are halved from there, and
  // what Eigen sets aside for these whatever their size.
  constexpr double kSetAside = 32;
  return kDoubleBytes * (5 * longer * shorter + 8 * shorter * shorter + kSetAside * longer);
}

DataCost EstimateDataCost(const ReluNetworkSpec& spec) {
  const DataShape shape = ShapeOf(spec.dataset);
  constexpr double kBlockRows = 1024;
  const double rows = std::min(static_cast<double>(spec.width), kBlockRows);
  DataCost cost;
  cost.setup_operations = 10 * std::pow(shape.examples, 3);
  // H_0, its copies on the way to a spectrum; a block of neurons, its Z and what is made of that.
  cost.setup_bytes = kDoubleBytes * (4 * shape.examples * shape.examples +
                                     rows * (shape.inputs + 3 * shape.examples));
  cost.instance_bytes = 2 * kDoubleBytes * shape.examples * (shape.inputs + 1);
  if (spec.initial_hidden_weights != nullptr) {
    cost.instance_bytes += kDoubleBytes * static_cast<double>(spec.width) * shape.inputs;
  }
  return cost;
}

DataCost EstimateDataCost(const DeepLinearNetworkSpec& spec) {
  const DataShape shape = ShapeOf(spec.dataset);
  const double rank = std::min(shape.examples, shape.inputs);
  const double data_bytes = kDoubleBytes * shape.examples * (shape.inputs + shape.outputs);
  DataCost cost;
  cost.setup_operations = 10 * shape.examples * shape.inputs * rank;
  cost.setup_bytes = data_bytes + DecompositionBytes(shape.examples, shape.inputs);
  cost.instance_bytes = data_bytes + kDoubleBytes * (shape.examples + shape.inputs) * rank;
  return cost;
}

absl::StatusOr<ProblemInstance> Instantiate(const ProblemSpec& spec, Seed seed) {
  return std::visit(base::Overloaded{[&](const QuadraticSpec& quadratic) {
                                       return Wrap(MakeQuadraticInstance(quadratic, seed));
                                     },
                                     [&](const ReluNetworkSpec& network) {
                                       return Wrap(MakeReluNetworkInstance(network, seed));
                                     },
                                     [&](const DeepLinearNetworkSpec& network) {
                                       return Wrap(MakeDeepLinearNetworkInstance(network, seed));
                                     }},
                    spec);
}

std::unique_ptr<Problem> MakeProblem(const ProblemInstance& instance) {
  return std::visit(
      base::Overloaded{[](const std::shared_ptr<const QuadraticInstance>& quadratic) {
                         return MakeQuadraticProblem(quadratic);
                       },
                       [](const std::shared_ptr<const ReluNetworkInstance>& network) {
                         return MakeReluNetworkProblem(network);
                       },
                       [](const std::shared_ptr<const DeepLinearNetworkInstance>& network) {
                         return MakeDeepLinearNetworkProblem(network);
                       }},
      instance);
}

ProblemCost EstimateCost(const ProblemSpec& spec) {
  return std::visit([](const auto& problem) { return Cost(problem); }, spec);
}

DiagnosticsCost EstimateDiagnosticsCost(const ProblemSpec& spec) {
  double order = 0;  // of H_t
  double scratch = 0;
  if (const auto* relu = std::get_if<ReluNetworkSpec>(&spec)) {
    constexpr double kBlock = 1024;
    order = ShapeOf(relu->dataset).examples;
    scratch = kDoubleBytes * kBlock * order;
  } else if (const auto* deep = std::get_if<DeepLinearNetworkSpec>(&spec)) {
    const DataShape shape = ShapeOf(deep->dataset);
    order = shape.outputs * std::min(shape.examples, shape.inputs);
    order = order > static_cast<double>(kGramOrderMax) ? 0 : order;
    scratch = kDoubleBytes * 2 * static_cast<double>(deep->width) * shape.outputs;
  }
  // H_t, what it is made of, a copy on the way to three diagonals, and the reflectors.
  return {(4.0 / 3 * order + 200) * order * order, 5 * kDoubleBytes * order * order + scratch};
}

std::vector<ParameterMatrix> ParameterMatrices(const ProblemSpec& spec) {
  return std::visit([](const auto& problem) { return Matrices(problem); }, spec);
}

}  // namespace polyak::engine
