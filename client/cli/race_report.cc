#include "client/cli/race_report.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace polyak::cli {
namespace {

std::string MeasuredRate(const v1::Summary& summary) {
  if (!summary.has_measured_rate()) {
    return absl::StrCat("- (", summary.windowed_rate().method(), ")");
  }
  return absl::StrFormat("%.6f +- %.6f", summary.measured_rate(),
                         summary.windowed_rate().standard_error());
}

std::string Iterations(const v1::TrainingJob& job) {
  const bool reached = job.termination().reason() == v1::Termination::REASON_CONVERGED;
  return absl::StrCat(reached ? "" : ">", job.summary().iterations());
}

std::string Bound(const v1::Certificate& certificate) {
  if (certificate.iterations_checked() == 0) {
    return "no theorem";
  }
  const std::string checked = absl::StrCat(certificate.bound_held() ? "held, " : "BROKE, ",
                                           certificate.iterations_checked(), " checked");
  return certificate.verdict() == v1::Certificate::VERDICT_NOT_APPLICABLE
             ? checked + " (not certified)"
             : checked;
}

void AddRow(const std::string& problem, const std::string& data, const std::string& method,
            const v1::TrainingJob& job, const std::string& acceleration, TextTable& table) {
  const auto& prediction = job.resolution().prediction();
  table.rows.push_back({problem, data, absl::StrFormat("%.4f", prediction.condition_number()),
                        method, absl::StrFormat("%.6f", prediction.rate()),
                        MeasuredRate(job.summary()), Iterations(job), acceleration,
                        Bound(job.summary().certificate())});
}

}  // namespace

TextTable RaceTable(const std::vector<RacePair>& pairs) {
  TextTable table;
  table.titles = {"class",         "data",       "kappa",    "method", "predicted rate",
                  "measured rate", "iterations", "speed-up", "bound"};
  for (const RacePair& pair : pairs) {
    const double measured = static_cast<double>(pair.gradient_descent.summary().iterations()) /
                            static_cast<double>(pair.momentum.summary().iterations());
    const double predicted = std::log(pair.momentum.resolution().prediction().rate()) /
                             std::log(pair.gradient_descent.resolution().prediction().rate());
    AddRow(pair.problem, pair.data, "GD", pair.gradient_descent, "1", table);
    AddRow("", "", "Polyak", pair.momentum,
           absl::StrFormat("%.2f (predicted %.2f)", measured, predicted), table);
  }
  return table;
}

}  // namespace polyak::cli
