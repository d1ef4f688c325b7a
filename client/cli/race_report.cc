#include "client/cli/race_report.h"

#include <cmath>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "client/cli/context.h"

namespace polyak::cli {
namespace {

bool Reached(const v1::TrainingJob& job) {
  return job.termination().reason() == v1::Termination::REASON_CONVERGED;
}

// Ratio of iterations, and of the iterations that the rates predict; NaN where there is none.
struct Acceleration {
  double measured;
  double predicted;
  bool at_least = false;  // gradient descent had not arrived yet
};

Acceleration AccelerationOf(const RacePair& pair) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const auto iterations = [](const v1::TrainingJob& job) {
    return static_cast<double>(job.summary().iterations());
  };
  const auto rate = [](const v1::TrainingJob& job) { return job.resolution().prediction().rate(); };
  Acceleration result = {kNone, kNone, !Reached(pair.gradient_descent)};
  if (Reached(pair.momentum) && iterations(pair.momentum) > 0) {
    result.measured = iterations(pair.gradient_descent) / iterations(pair.momentum);
  }
  if (rate(pair.gradient_descent) < 1 && rate(pair.momentum) < 1) {
    result.predicted = std::log(rate(pair.momentum)) / std::log(rate(pair.gradient_descent));
  }
  return result;
}

std::string MeasuredRate(const v1::Summary& summary) {
  if (!summary.has_measured_rate()) {
    return absl::StrCat("- (", summary.windowed_rate().method(), ")");
  }
  return absl::StrFormat("%.6f +- %.6f", summary.measured_rate(),
                         summary.windowed_rate().standard_error());
}

std::string Iterations(const v1::TrainingJob& job) {
  return absl::StrCat(Reached(job) ? "" : ">", job.summary().iterations());
}

std::string AccelerationText(const Acceleration& acceleration) {
  const auto number = [](double value) {
    return std::isnan(value) ? "-" : absl::StrFormat("%.2f", value);
  };
  const bool at_least = acceleration.at_least && !std::isnan(acceleration.measured);
  return absl::StrCat(at_least ? ">" : "", number(acceleration.measured), " (predicted ",
                      number(acceleration.predicted), ")");
}

std::string Bound(const v1::Certificate& certificate) {
  if (certificate.iterations_checked() == 0) {
    return "no theorem";
  }
  const std::string checked = certificate.bound_held()
                                  ? absl::StrCat("held at all ", certificate.iterations_checked())
                                  : absl::StrCat("BROKE at ", certificate.first_violation());
  return certificate.verdict() == v1::Certificate::VERDICT_NOT_APPLICABLE
             ? checked + " (not certified)"
             : checked;
}

// "iterations to 1e-8" for the tolerance that the jobs were asked for.
std::string IterationsTitle(const std::vector<RacePair>& pairs) {
  for (const RacePair& pair : pairs) {
    const auto& stopping = pair.momentum.spec().stopping();
    if (stopping.has_relative_loss()) {
      return absl::StrCat(
          "iterations to ",
          absl::StrReplaceAll(ExactNumber(stopping.relative_loss()), {{"e-0", "e-"}}));
    }
  }
  return "iterations";
}

std::vector<std::string> Row(const v1::TrainingJob& job, const std::string& method) {
  const auto& prediction = job.resolution().prediction();
  return {absl::StrFormat("%.6g", prediction.condition_number()), method,
          absl::StrFormat("%.6f", prediction.rate()), MeasuredRate(job.summary()), Iterations(job)};
}

std::vector<std::string> Columns(const RacePair& pair, const v1::TrainingJob& job,
                                 const std::string& method, double acceleration,
                                 double predicted_acceleration) {
  const auto number = [](double value) { return std::isnan(value) ? "" : ExactNumber(value); };
  const auto& prediction = job.resolution().prediction();
  const auto& summary = job.summary();
  const auto& certificate = summary.certificate();
  const bool measured = summary.has_measured_rate();
  const bool checked = certificate.iterations_checked() > 0;
  return {pair.problem,
          pair.data,
          number(prediction.condition_number()),
          method,
          number(prediction.rate()),
          measured ? number(summary.measured_rate()) : "",
          measured ? number(summary.windowed_rate().standard_error()) : "",
          absl::StrCat(summary.iterations()),
          ReasonName(job.termination().reason()),
          number(acceleration),
          number(predicted_acceleration),
          !checked                   ? ""
          : certificate.bound_held() ? "true"
                                     : "false",
          absl::StrCat(certificate.iterations_checked()),
          VerdictName(certificate.verdict())};
}

std::string DescribeDataset(const v1::Dataset& dataset) {
  std::string text;
  if (dataset.has_inline_()) {
    const auto& features = dataset.inline_().features();
    text = absl::StrCat("inline, ", features.rows(), " x ", features.cols());
  } else if (dataset.has_synthetic()) {
    text = absl::StrCat("synthetic, ", dataset.synthetic().examples(), " x ",
                        dataset.synthetic().input_dimension());
  } else {
    text = std::string(absl::StripPrefix(dataset.name(), "datasets/"));
  }
  if (dataset.first_examples() > 0) {
    absl::StrAppend(&text, ", first ", dataset.first_examples());
  }
  return text;
}

std::string DescribeQuadratic(const v1::QuadraticProblem& problem) {
  if (problem.has_least_squares()) {
    return DescribeDataset(problem.least_squares().dataset());
  }
  if (problem.has_matrix()) {
    return absl::StrCat("matrix, d = ", problem.matrix().rows());
  }
  if (problem.spectrum().has_explicit_()) {
    return absl::StrCat("spectrum, d = ", problem.spectrum().explicit_().eigenvalues_size());
  }
  const auto& generated = problem.spectrum().generated();
  const auto set = generated.shape() == v1::GeneratedSpectrum::SHAPE_UNSPECIFIED
                       ? v1::GeneratedSpectrum::SHAPE_LOG_UNIFORM
                       : generated.shape();
  const std::string shape =
      absl::AsciiStrToLower(absl::StripPrefix(v1::GeneratedSpectrum::Shape_Name(set), "SHAPE_"));
  return absl::StrCat(absl::StrReplaceAll(shape, {{"_", "-"}}), ", d = ", generated.dimension());
}

}  // namespace

TextTable RaceTable(const std::vector<RacePair>& pairs) {
  TextTable table;
  table.titles = {"class",
                  "data",
                  "kappa",
                  "method",
                  "predicted",
                  "measured rate",
                  IterationsTitle(pairs),
                  "acceleration",
                  "bound"};
  for (const RacePair& pair : pairs) {
    std::vector<std::string> first = {pair.problem, pair.data};
    std::vector<std::string> second = {"", ""};
    for (const std::string& cell : Row(pair.gradient_descent, "GD")) {
      first.push_back(cell);
    }
    for (const std::string& cell : Row(pair.momentum, "Polyak")) {
      second.push_back(cell);
    }
    first.emplace_back("");
    second.push_back(AccelerationText(AccelerationOf(pair)));
    first.push_back(Bound(pair.gradient_descent.summary().certificate()));
    second.push_back(Bound(pair.momentum.summary().certificate()));
    table.rows.push_back(std::move(first));
    table.rows.push_back(std::move(second));
  }
  return table;
}

TextTable RaceColumns(const std::vector<RacePair>& pairs) {
  TextTable table;
  table.titles = {"class",
                  "data",
                  "kappa",
                  "method",
                  "predicted_rate",
                  "measured_rate",
                  "standard_error",
                  "iterations",
                  "ended_by",
                  "acceleration",
                  "predicted_acceleration",
                  "bound_held",
                  "iterations_checked",
                  "certificate"};
  for (const RacePair& pair : pairs) {
    const Acceleration acceleration = AccelerationOf(pair);
    table.rows.push_back(Columns(pair, pair.gradient_descent, "gradient_descent", 1, 1));
    table.rows.push_back(Columns(pair, pair.momentum, "polyak_momentum", acceleration.measured,
                                 acceleration.predicted));
  }
  return table;
}

std::string DescribeData(const v1::TrainingJobSpec& spec) {
  switch (spec.problem_case()) {
    case v1::TrainingJobSpec::kQuadratic:
      return DescribeQuadratic(spec.quadratic());
    case v1::TrainingJobSpec::kReluNetwork:
      return absl::StrCat(DescribeDataset(spec.relu_network().dataset()),
                          ", m = ", spec.relu_network().width());
    case v1::TrainingJobSpec::kDeepLinearNetwork: {
      const auto& network = spec.deep_linear_network();
      return absl::StrCat(DescribeDataset(network.dataset()), ", L = ", network.depth(),
                          ", m = ", network.width());
    }
    case v1::TrainingJobSpec::PROBLEM_NOT_SET:
      break;
  }
  return "";
}

}  // namespace polyak::cli
