#pragma once

#include <memory>
#include <string>

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "server/runner/prepare.h"
#include "server/spec/parse_training_job.h"

namespace polyak::runner {

inline v1::TrainingJobSpec SpecOf(const std::string& text) {
  v1::TrainingJobSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec)) << text;
  return spec;
}

inline spec::ExperimentSpec ParsedOf(const std::string& text, const spec::Limits& limits = {}) {
  spec::Violations violations;
  const auto parsed = spec::ParseTrainingJobSpec(SpecOf(text), limits, violations);
  EXPECT_TRUE(parsed.has_value()) << text;
  return parsed.value_or(spec::ExperimentSpec());
}

// A spec that can run, prepared.
inline std::shared_ptr<const PreparedJob> PreparedOf(const std::string& text) {
  spec::Violations violations;
  auto job = Prepare(ParsedOf(text), violations);
  EXPECT_TRUE(violations.empty()) << text << violations.kept()[0].description;
  return job;
}

}  // namespace polyak::runner
