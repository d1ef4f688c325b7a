#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <variant>

#include "absl/status/statusor.h"
#include "server/engine/linalg/types.h"
#include "server/engine/random/random_stream.h"

namespace polyak::engine {

// One example per row.
struct Dataset {
  Matrix features;  // n x d_x
  Matrix targets;   // n x d_y
};

enum class FeatureScaling {
  kNone,
  kStandardized,  // each column: minus its mean, over its population standard deviation; a constant
                  // column becomes 0
  kUnitNorm,      // each row over its Euclidean norm; refuses a zero row
};

enum class SyntheticKind {
  kLinearTeacher,  // features with the given condition number, targets T x with T_ij ~ N(0, 1/d_x)
  kUnitSphere,  // x = sqrt(1-c) g + sqrt(c) u with one shared u, then unit norm; targets standard
                // normal
};

struct SyntheticDataSpec {
  SyntheticKind kind = SyntheticKind::kLinearTeacher;
  int64_t examples = 0;
  int64_t input_dimension = 0;
  int64_t output_dimension = 1;
  std::optional<Seed> seed;                // unset: the job's
  std::optional<double> condition_number;  // s_max/s_min of the data matrix, >= 1; unset: plain
                                           // standard normal features
  double correlation = 0;                  // c of kUnitSphere, in [0, 1)
};

// Data that lie elsewhere until they are needed.
struct StoredDataSpec {
  int64_t examples = 0;
  int64_t input_dimension = 0;
  int64_t output_dimension = 0;
  // The first so many examples. Safe from any thread.
  //   Errors: of where they lie.   Cost: reads them all, keeps those.
  std::function<absl::StatusOr<Dataset>(int64_t count)> load;
};

struct DatasetSpec {
  std::variant<std::shared_ptr<const Dataset>, SyntheticDataSpec, StoredDataSpec> source;
  int64_t first_examples = 0;  // 0: all. Cut first, then scaled
  FeatureScaling scaling = FeatureScaling::kNone;
};

// The data set a spec means, cut and scaled.
// Errors: InvalidArgument for a zero row under kUnitNorm (names the row), or first_examples beyond
// the data; those of stored data. Cost: O(n d_x), and one QR of n x d_x when a condition number is
// given.
absl::StatusOr<Dataset> MakeDataset(const DatasetSpec& spec, Seed job_seed);

}  // namespace polyak::engine
