#include "server/spec/parse_filter.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace polyak::spec {
namespace {

constexpr std::pair<const char*, v1::TrainingJobSpec::ProblemCase> kProblems[] = {
    {"quadratic", v1::TrainingJobSpec::kQuadratic},
    {"relu_network", v1::TrainingJobSpec::kReluNetwork},
    {"deep_linear_network", v1::TrainingJobSpec::kDeepLinearNetwork}};
constexpr std::pair<const char*, v1::Optimizer::MethodCase> kOptimizers[] = {
    {"gradient_descent", v1::Optimizer::kGradientDescent},
    {"polyak_momentum", v1::Optimizer::kPolyakMomentum},
    {"nesterov_momentum", v1::Optimizer::kNesterovMomentum}};

// Reads FIELD = "VALUE" off the front of `rest`. Returns false if there is none.
bool TakeCondition(std::string& rest, std::string& field, std::string& value) {
  const size_t equals = rest.find('=');
  if (equals == std::string::npos) {
    return false;
  }
  field = std::string(absl::StripAsciiWhitespace(rest.substr(0, equals)));
  const size_t open = rest.find_first_not_of(" \t", equals + 1);
  if (open == std::string::npos || rest[open] != '"') {
    return false;
  }
  const size_t close = rest.find('"', open + 1);
  if (close == std::string::npos) {
    return false;
  }
  value = rest.substr(open + 1, close - open - 1);
  rest = std::string(absl::StripLeadingAsciiWhitespace(rest.substr(close + 1)));
  return true;
}

template <typename Value>
void Require(const Value& wanted, std::optional<Value>& value, JobFilter& filter) {
  filter.contradictory = filter.contradictory || value.value_or(wanted) != wanted;
  value = wanted;
}

template <typename Table, typename Value>
bool Find(const Table& table, const std::string& name, std::optional<Value>& value,
          JobFilter& filter) {
  for (const auto& [known, meaning] : table) {
    if (name == known) {
      Require(meaning, value, filter);
      return true;
    }
  }
  return false;
}

bool Apply(const std::string& field, const std::string& value, JobFilter& filter) {
  if (field == "state") {
    v1::TrainingJob::State state = v1::TrainingJob::STATE_UNSPECIFIED;
    if (!v1::TrainingJob::State_Parse("STATE_" + value, &state) ||
        state == v1::TrainingJob::STATE_UNSPECIFIED) {
      return false;
    }
    Require(state, filter.state, filter);
    return true;
  }
  if (field == "problem") {
    return Find(kProblems, value, filter.problem, filter);
  }
  if (field == "optimizer") {
    return Find(kOptimizers, value, filter.optimizer, filter);
  }
  if (absl::StartsWith(field, "labels.") && field.size() > 7) {
    const auto [label, is_new] = filter.labels.emplace(field.substr(7), value);
    filter.contradictory = filter.contradictory || (!is_new && label->second != value);
    return true;
  }
  return false;
}

}  // namespace

bool JobFilter::Matches(const v1::TrainingJob& job) const {
  if (contradictory || (state.has_value() && job.state() != *state) ||
      (problem.has_value() && job.spec().problem_case() != *problem) ||
      (optimizer.has_value() && job.spec().optimizer().method_case() != *optimizer)) {
    return false;
  }
  for (const auto& [key, value] : labels) {
    const auto found = job.labels().find(key);
    if (found == job.labels().end() || found->second != value) {
      return false;
    }
  }
  return true;
}

JobFilter ParseFilter(const std::string& text, Violations& violations) {
  JobFilter filter;
  std::string rest(absl::StripAsciiWhitespace(text));
  bool first = true;
  while (!rest.empty()) {
    if (!first) {
      if (!absl::StartsWith(rest, "AND ")) {
        violations.Add("filter", Refusal(absl::StrCat(Quoted(rest), " after a condition"),
                                         "AND and one more condition"));
        return filter;
      }
      rest = std::string(absl::StripLeadingAsciiWhitespace(rest.substr(4)));
    }
    first = false;
    std::string field;
    std::string value;
    const std::string before = Quoted(rest);
    if (!TakeCondition(rest, field, value) || !Apply(field, value, filter)) {
      violations.Add(
          "filter",
          Refusal(
              before,
              "state = \"QUEUED\" (RUNNING, SUCCEEDED, FAILED, CANCELLED), problem = \"quadratic\" "
              "(relu_network, deep_linear_network), optimizer = \"gradient_descent\" "
              "(polyak_momentum, "
              "nesterov_momentum), labels.KEY = \"VALUE\", joined by AND"));
      return filter;
    }
  }
  return filter;
}

}  // namespace polyak::spec
