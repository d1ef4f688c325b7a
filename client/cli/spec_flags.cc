#include "client/cli/spec_flags.h"

#include <cmath>
#include <map>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace polyak::cli {
namespace {

const std::map<std::string, v1::GeneratedSpectrum::Shape>& Shapes() {
  static const auto& shapes = *new std::map<std::string, v1::GeneratedSpectrum::Shape>{
      {"uniform", v1::GeneratedSpectrum::SHAPE_UNIFORM},
      {"log-uniform", v1::GeneratedSpectrum::SHAPE_LOG_UNIFORM},
      {"two-clusters", v1::GeneratedSpectrum::SHAPE_TWO_CLUSTERS},
      {"chebyshev", v1::GeneratedSpectrum::SHAPE_CHEBYSHEV}};
  return shapes;
}

}  // namespace

void SpecFlags::AddDataset(CLI::App& command, const std::string& default_name) {
  dataset_.name = default_name;
  CLI::Option* const name =
      command.add_option("--dataset", dataset_.name, "a data set of the server (see polyak info)")
          ->capture_default_str();
  command.add_option("--first-examples", dataset_.first_examples, "use only the first N examples")
      ->check(CLI::PositiveNumber);
  command.add_option("--scaling", dataset_.scaling, "none, standardized or unit-norm")
      ->check(CLI::IsMember({"none", "standardized", "unit-norm"}));
  command
      .add_option("--synthetic-examples", dataset_.examples,
                  "draw N synthetic examples instead of --dataset")
      ->excludes(name);
  command.add_option("--input-dimension", dataset_.input_dimension,
                     "of synthetic data (default 10)");
  command.add_option("--correlation", dataset_.correlation,
                     "of synthetic examples with each other, in [0, 1) (ReLU network)");
  command.add_option("--data-condition-number", dataset_.condition_number,
                     "s_max/s_min of the synthetic data matrix; kappa is its square");
}

void SpecFlags::AddQuadratic(CLI::App& command) {
  command.add_option("--kappa", kappa_, "condition number of a generated spectrum (default 100)");
  command.add_option("--dimension", dimension_, "of a generated spectrum (default 10)");
  command.add_option("--smoothness", smoothness_, "largest eigenvalue (default 1)");
  command.add_option("--shape", shape_, "uniform, log-uniform, two-clusters or chebyshev")
      ->check(CLI::IsMember({"uniform", "log-uniform", "two-clusters", "chebyshev"}))
      ->capture_default_str();
  AddDataset(command, "");
  command.add_option("--ridge", ridge_, "added to the Hessian of least squares on --dataset");
}

void SpecFlags::AddReluNetwork(CLI::App& command) {
  AddDataset(command, "datasets/digits");
  width_ = 4096;
  command.add_option("--width", width_, "number of hidden neurons, m")->capture_default_str();
}

void SpecFlags::AddDeepLinearNetwork(CLI::App& command) {
  AddDataset(command, "datasets/wine");
  width_ = 64;
  depth_ = 4;
  command.add_option("--output-dimension", dataset_.output_dimension,
                     "of synthetic data (default 1)");
  command.add_option("--width", width_, "of the hidden layers, m")->capture_default_str();
  command.add_option("--depth", depth_, "number of weight matrices, L")->capture_default_str();
  command.add_option("--initialization", initialization_, "orthogonal (default) or gaussian")
      ->check(CLI::IsMember({"orthogonal", "gaussian"}));
}

void SpecFlags::AddOptimizer(CLI::App& command) {
  command.add_option("--optimizer", optimizer_, "gd, polyak or nesterov")
      ->check(CLI::IsMember({"gd", "polyak", "nesterov"}))
      ->capture_default_str();
  command.add_option("--step-size", step_size_, "default: chosen by theory");
  command.add_option("--momentum", momentum_, "in [0, 1); default: chosen by theory");
  command.add_option("--tuning", tuning_, "theorem (default) or asymptotic: which theory chooses")
      ->check(CLI::IsMember({"theorem", "asymptotic"}));
}

void SpecFlags::AddRun(CLI::App& command) {
  command.add_option("--iterations", iterations_, "at most this many (server's default 100,000)");
  command.add_option("--tolerance", tolerance_,
                     "stop at this loss relative to the initial one, in (0, 1)");
  command.add_option("--max-duration", max_seconds_, "training time at most, in seconds");
  command.add_option("--seed", seed_, "names the random start and data (default 0)");
  command.add_option("--plan", plan_, "auto (default), dense or reduced")
      ->check(CLI::IsMember({"auto", "dense", "reduced"}));
  command
      .add_option("--diagnostics-interval", diagnostics_interval_,
                  "curvature, flipped activations and distance from the start every N iterations")
      ->check(CLI::PositiveNumber);
}

absl::Status SpecFlags::FillDataset(v1::Dataset& dataset) const {
  if (dataset_.examples.has_value()) {
    auto& synthetic = *dataset.mutable_synthetic();
    synthetic.set_examples(*dataset_.examples);
    synthetic.set_input_dimension(dataset_.input_dimension.value_or(10));
    if (dataset_.output_dimension.has_value()) {
      synthetic.set_output_dimension(*dataset_.output_dimension);
    }
    if (dataset_.condition_number.has_value()) {
      synthetic.set_condition_number(*dataset_.condition_number);
    }
    if (dataset_.correlation.has_value()) {
      synthetic.set_correlation(*dataset_.correlation);
    }
  } else {
    if (dataset_.input_dimension || dataset_.output_dimension || dataset_.condition_number ||
        dataset_.correlation) {
      return absl::InvalidArgumentError(
          "flags of synthetic data are given without --synthetic-examples");
    }
    dataset.set_name(dataset_.name);
  }
  dataset.set_first_examples(dataset_.first_examples);
  if (dataset_.scaling == "none") {
    dataset.set_feature_scaling(v1::FEATURE_SCALING_NONE);
  } else if (dataset_.scaling == "standardized") {
    dataset.set_feature_scaling(v1::FEATURE_SCALING_STANDARDIZED);
  } else if (dataset_.scaling == "unit-norm") {
    dataset.set_feature_scaling(v1::FEATURE_SCALING_UNIT_NORM);
  }
  return absl::OkStatus();
}

absl::Status SpecFlags::FillRun(v1::TrainingJobSpec& spec) const {
  auto& optimizer = *spec.mutable_optimizer();
  const auto set_parameters = [this](auto& method) {
    if (step_size_.has_value()) {
      method.set_step_size(*step_size_);
    }
    if (momentum_.has_value()) {
      method.set_momentum(*momentum_);
    }
  };
  if (optimizer_ == "gd") {
    if (momentum_.has_value()) {
      return absl::InvalidArgumentError(
          "--momentum is given, but gradient descent has none; accepted with --optimizer polyak or "
          "nesterov");
    }
    optimizer.mutable_gradient_descent();
    if (step_size_.has_value()) {
      optimizer.mutable_gradient_descent()->set_step_size(*step_size_);
    }
  } else if (optimizer_ == "polyak") {
    set_parameters(*optimizer.mutable_polyak_momentum());
  } else {
    set_parameters(*optimizer.mutable_nesterov_momentum());
  }
  if (!tuning_.empty()) {
    optimizer.set_tuning(tuning_ == "asymptotic" ? v1::TUNING_ASYMPTOTIC : v1::TUNING_THEOREM);
  }
  if (iterations_.has_value()) {
    spec.mutable_stopping()->set_max_iterations(*iterations_);
  }
  if (tolerance_.has_value()) {
    spec.mutable_stopping()->set_relative_loss(*tolerance_);
  }
  if (max_seconds_.has_value()) {
    const double seconds = *max_seconds_;
    if (!(seconds > 0 && seconds <= 3e9)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--max-duration is ", seconds, "; accepted: more than 0 and at most 3e9 seconds"));
    }
    auto& duration = *spec.mutable_stopping()->mutable_max_duration();
    duration.set_seconds(static_cast<int64_t>(seconds));
    duration.set_nanos(static_cast<int32_t>((seconds - std::floor(seconds)) * 1e9));
  }
  if (seed_.has_value()) {
    spec.set_seed(*seed_);
  }
  if (plan_ == "dense") {
    spec.set_plan(v1::EXECUTION_PLAN_DENSE);
  } else if (plan_ == "reduced") {
    spec.set_plan(v1::EXECUTION_PLAN_REDUCED);
  }
  if (diagnostics_interval_.has_value()) {
    spec.set_diagnostics_interval(*diagnostics_interval_);
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::TrainingJobSpec> SpecFlags::Quadratic() const {
  v1::TrainingJobSpec spec;
  auto& quadratic = *spec.mutable_quadratic();
  if (!dataset_.name.empty() || dataset_.examples.has_value()) {
    if (kappa_ || dimension_ || smoothness_) {
      return absl::InvalidArgumentError(
          "--kappa, --dimension and --smoothness describe a generated spectrum, --dataset and "
          "--synthetic-examples least squares; give one kind only");
    }
    auto& least_squares = *quadratic.mutable_least_squares();
    if (absl::Status status = FillDataset(*least_squares.mutable_dataset()); !status.ok()) {
      return status;
    }
    least_squares.set_ridge(ridge_.value_or(0));
  } else {
    if (dataset_.input_dimension || dataset_.condition_number || dataset_.correlation ||
        dataset_.first_examples != 0 || !dataset_.scaling.empty()) {
      return absl::InvalidArgumentError(
          "flags of data are given without --dataset or --synthetic-examples");
    }
    if (ridge_.has_value()) {
      return absl::InvalidArgumentError("--ridge belongs to least squares; give --dataset too");
    }
    auto& generated = *quadratic.mutable_spectrum()->mutable_generated();
    generated.set_dimension(dimension_.value_or(10));
    generated.set_condition_number(kappa_.value_or(100));
    if (smoothness_.has_value()) {
      generated.set_smoothness(*smoothness_);
    }
    generated.set_shape(Shapes().at(shape_));
  }
  if (absl::Status status = FillRun(spec); !status.ok()) {
    return status;
  }
  return spec;
}

absl::StatusOr<v1::TrainingJobSpec> SpecFlags::ReluNetwork() const {
  v1::TrainingJobSpec spec;
  auto& network = *spec.mutable_relu_network();
  if (absl::Status status = FillDataset(*network.mutable_dataset()); !status.ok()) {
    return status;
  }
  network.set_width(width_);
  if (absl::Status status = FillRun(spec); !status.ok()) {
    return status;
  }
  return spec;
}

absl::StatusOr<v1::TrainingJobSpec> SpecFlags::DeepLinearNetwork() const {
  v1::TrainingJobSpec spec;
  auto& network = *spec.mutable_deep_linear_network();
  if (absl::Status status = FillDataset(*network.mutable_dataset()); !status.ok()) {
    return status;
  }
  network.set_width(width_);
  network.set_depth(depth_);
  if (initialization_ == "gaussian") {
    network.set_initialization(v1::DeepLinearNetworkProblem::INITIALIZATION_GAUSSIAN);
  } else if (initialization_ == "orthogonal") {
    network.set_initialization(v1::DeepLinearNetworkProblem::INITIALIZATION_ORTHOGONAL);
  }
  if (absl::Status status = FillRun(spec); !status.ok()) {
    return status;
  }
  return spec;
}

}  // namespace polyak::cli
