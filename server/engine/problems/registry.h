#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "server/engine/problems/deep_linear_network.h"
#include "server/engine/problems/problem.h"
#include "server/engine/problems/quadratic.h"
#include "server/engine/problems/relu_network.h"

namespace polyak::engine {

using ProblemSpec = std::variant<QuadraticSpec, ReluNetworkSpec, DeepLinearNetworkSpec>;
using ProblemInstance = std::variant<std::shared_ptr<const QuadraticInstance>,
                                     std::shared_ptr<const ReluNetworkInstance>,
                                     std::shared_ptr<const DeepLinearNetworkInstance>>;

// Data drawn and scaled, spectra computed, impossible problems refused (see the three
// Make...Instance).
absl::StatusOr<ProblemInstance> Instantiate(const ProblemSpec& spec, Seed seed);

// The literal problem, ready to run.
std::unique_ptr<Problem> MakeProblem(const ProblemInstance& instance);

// Of the data that a spec names, after first_examples.
struct DataShape {
  double examples = 0;
  double inputs = 0;
  double outputs = 0;
};
DataShape ShapeOf(const DatasetSpec& spec);

// Operations and bytes of the literal form, known from the spec alone (nothing is allocated).
struct ProblemCost {
  double setup_operations = 0;          // flops before record 0, spectra included
  double operations_per_iteration = 0;  // flops
  double bytes = 0;  // memory of the instance and of one running DENSE job, what moves excluded
  double parameters = 0;  // d
};
ProblemCost EstimateCost(const ProblemSpec& spec);

// What the spectrum of H_t takes beside what a plan has, each time diagnostics are asked for.
struct DiagnosticsCost {
  double operations = 0;  // flops
  double bytes = 0;       // of scratch
};
DiagnosticsCost EstimateDiagnosticsCost(const ProblemSpec& spec);

// The part of a network's cost that every plan has, and that does not depend on the width, given
// weights aside: its data and what theory makes of them, the Gram matrix at the start of a ReLU
// network or the singular value decomposition of a deep linear one's.
struct DataCost {
  double setup_operations = 0;
  double setup_bytes = 0;     // at most, while the instance is made, beside `instance_bytes`
  double instance_bytes = 0;  // kept
};
DataCost EstimateDataCost(const ReluNetworkSpec& spec);
DataCost EstimateDataCost(const DeepLinearNetworkSpec& spec);

// Bytes of the singular value decomposition of a rows x cols matrix with both thin factors.
double DecompositionBytes(double rows, double cols);

// One trained matrix of a problem.
struct ParameterMatrix {
  std::string name;  // "w" (quadratic, d x 1), "W" (ReLU network, m x d), "W_1" .. "W_L"
  int64_t rows = 0;
  int64_t cols = 0;
};
// What a point of the problem's space is made of: its d values are these matrices one after
// another, each column by column. From the spec alone.
std::vector<ParameterMatrix> ParameterMatrices(const ProblemSpec& spec);

}  // namespace polyak::engine
