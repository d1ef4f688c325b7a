#include "server/spec/parse_stopping.h"

#include <algorithm>

namespace polyak::spec {

engine::StoppingRule ParseStopping(const v1::StoppingRule& message, const Limits& limits,
                                   Violations& violations) {
  engine::StoppingRule rule;
  rule.max_iterations = std::min(rule.max_iterations, limits.max_iterations);
  if (message.has_max_iterations()) {
    rule.max_iterations = message.max_iterations();
    if (rule.max_iterations < 0 || rule.max_iterations > limits.max_iterations) {
      violations.Add("spec.stopping.max_iterations",
                     Refusal(rule.max_iterations, absl::StrCat("0 to ", limits.max_iterations)));
    }
  }
  if (message.has_relative_loss()) {
    rule.relative_loss = message.relative_loss();
    if (!(*rule.relative_loss > 0 && *rule.relative_loss < 1)) {
      violations.Add(
          "spec.stopping.relative_loss",
          Refusal(*rule.relative_loss, "0 < relative_loss < 1, or unset for no tolerance"));
    }
  }
  rule.max_seconds = limits.max_duration_seconds;
  if (message.has_max_duration()) {
    const auto& duration = message.max_duration();
    rule.max_seconds = static_cast<double>(duration.seconds()) + 1e-9 * duration.nanos();
    if (!(*rule.max_seconds > 0 && *rule.max_seconds <= limits.max_duration_seconds) ||
        duration.nanos() < 0 || duration.nanos() > 999'999'999) {
      violations.Add("spec.stopping.max_duration",
                     Refusal(absl::StrCat(duration.seconds(), " s and ", duration.nanos(), " ns"),
                             absl::StrCat("more than 0 and at most ", limits.max_duration_seconds,
                                          " seconds, with 0 to 999999999 nanoseconds")));
    }
  }
  return rule;
}

}  // namespace polyak::spec
