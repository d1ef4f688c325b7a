#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "polyak/v1/training_job.pb.h"

namespace polyak::cli {

// Short flags for common jobs, written straight into a spec: what is not given stays unset, and the
// server decides. The object must outlive the parse.
class SpecFlags {
 public:
  // Each adds the flags of one problem class to `command`.
  void AddQuadratic(CLI::App& command);
  void AddReluNetwork(CLI::App& command);
  void AddDeepLinearNetwork(CLI::App& command);
  // --optimizer, --step-size, --momentum, --tuning.
  void AddOptimizer(CLI::App& command);
  // --iterations, --tolerance, --max-duration, --seed, --plan, --diagnostics-interval.
  void AddRun(CLI::App& command);

  // The spec of the class whose flags were parsed.
  // Errors: InvalidArgument for a combination that no spec can express (--momentum with gradient
  // descent).
  absl::StatusOr<v1::TrainingJobSpec> Quadratic() const;
  absl::StatusOr<v1::TrainingJobSpec> ReluNetwork() const;
  absl::StatusOr<v1::TrainingJobSpec> DeepLinearNetwork() const;

 private:
  struct DatasetFlags {
    std::string name;
    int64_t first_examples = 0;
    std::string scaling;
    std::optional<int32_t> examples;
    std::optional<int32_t> input_dimension;
    std::optional<int32_t> output_dimension;
    std::optional<double> condition_number;
    std::optional<double> correlation;
  };
  void AddDataset(CLI::App& command, const std::string& default_name);
  absl::Status FillDataset(v1::Dataset& dataset) const;
  absl::Status FillRun(v1::TrainingJobSpec& spec) const;

  DatasetFlags dataset_;
  std::optional<double> kappa_;
  std::optional<int64_t> dimension_;
  std::optional<double> smoothness_;
  std::string shape_ = "log-uniform";
  std::optional<double> ridge_;
  int64_t width_ = 0;
  int32_t depth_ = 0;
  std::string initialization_;
  std::string optimizer_ = "polyak";
  std::optional<double> step_size_;
  std::optional<double> momentum_;
  std::string tuning_;
  std::optional<int64_t> iterations_;
  std::optional<double> tolerance_;
  std::optional<double> max_seconds_;
  std::optional<int64_t> seed_;
  std::string plan_;
  std::optional<int64_t> diagnostics_interval_;
};

}  // namespace polyak::cli
