#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "server/spec/parse_training_job.h"

namespace polyak::spec {

// A spec that must be refused for one field: its path, what it says was received, what it says is
// accepted.
struct RefusedSpec {
  std::string spec;  // text format; gets gradient descent if it names no optimizer
  std::string field;
  std::string received;
  std::string accepted;
};

inline v1::TrainingJobSpec SpecOf(const std::string& text) {
  v1::TrainingJobSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec)) << text;
  if (!spec.has_optimizer()) {
    spec.mutable_optimizer()->mutable_gradient_descent();
  }
  return spec;
}

inline Violations ViolationsOf(const v1::TrainingJobSpec& spec, const Limits& limits = {}) {
  Violations violations;
  const auto parsed = ParseTrainingJobSpec(spec, limits, violations);
  EXPECT_EQ(parsed.has_value(), violations.empty());
  return violations;
}

inline std::vector<std::string> FieldsOf(const Violations& violations) {
  std::vector<std::string> fields;
  for (const Violation& violation : violations.kept()) {
    fields.push_back(violation.field);
  }
  return fields;
}

inline std::string Text(const Violations& violations) {
  std::string text;
  for (const Violation& violation : violations.kept()) {
    absl::StrAppend(&text, violation.field, " ", violation.description, "\n");
  }
  return text;
}

// Each row is refused with exactly its violation.
inline void ExpectRefused(const std::vector<RefusedSpec>& rows) {
  for (const RefusedSpec& row : rows) {
    SCOPED_TRACE(row.spec);
    const Violations violations = ViolationsOf(SpecOf(row.spec));
    EXPECT_EQ(violations.count(), 1) << Text(violations);
    if (violations.empty()) {
      continue;
    }
    const Violation& violation = violations.kept()[0];
    EXPECT_EQ(violation.field, row.field);
    const size_t border = violation.description.find("; accepted: ");
    ASSERT_NE(border, std::string::npos) << violation.description;
    EXPECT_THAT(violation.description.substr(0, border), ::testing::HasSubstr(row.received));
    EXPECT_THAT(violation.description.substr(border), ::testing::HasSubstr(row.accepted));
  }
}

// The same for edges that are just inside: none is refused.
inline void ExpectAccepted(const std::vector<std::string>& specs) {
  for (const std::string& text : specs) {
    const Violations violations = ViolationsOf(SpecOf(text));
    EXPECT_TRUE(violations.empty()) << text << "\n" << Text(violations);
  }
}

// The engine's form of a spec that is accepted.
inline ExperimentSpec ParsedSpec(const std::string& text) {
  Violations violations;
  auto parsed = ParseTrainingJobSpec(SpecOf(text), {}, violations);
  EXPECT_TRUE(parsed.has_value()) << text << "\n" << Text(violations);
  return parsed.value_or(ExperimentSpec());
}

}  // namespace polyak::spec
