// Specs at random: whatever arrives is either refused, each field with what is accepted, or runs.

#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/stubs/logging.h"
#include "rapidcheck.h"
#include "rapidcheck/gtest.h"
#include "server/runner/runner.h"
#include "tests/support/fake_clock.h"
#include "tests/unit/server/runner/prepared.h"
#include "tests/unit/server/runner/run_in_memory.h"

namespace polyak::runner {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Small enough that what is accepted runs in well under a millisecond.
spec::Limits SmallLimits() {
  spec::Limits limits;
  limits.max_iterations = 20;
  limits.max_dimension = 40;
  limits.max_matrix_dimension = 12;
  limits.max_examples = 2000;  // the built-in sets have up to 1,797
  limits.max_input_dimension = 64;
  limits.max_output_dimension = 4;
  limits.max_width = 70;
  limits.max_depth = 5;
  limits.memory_bytes = 1e8;
  return limits;
}

std::vector<v1::TrainingJobSpec> Seeds() {
  std::vector<v1::TrainingJobSpec> specs;
  for (
      const char* text : {
          "quadratic { matrix { rows: 2 cols: 2 values: [2, 1, 1, 2] } linear_term: [1, 1] "
          "initial_point: [0, 1] } optimizer { polyak_momentum {} } stopping { max_iterations: 9 "
          "relative_loss: 0.5 max_duration { seconds: 1 } }",
          "quadratic { spectrum { explicit { eigenvalues: [1, 2, 3] } } } optimizer { "
          "gradient_descent { step_size: 0.1 } } stopping { max_iterations: 9 }",
          "quadratic { spectrum { generated { dimension: 9 condition_number: 40 smoothness: 2 "
          "shape: SHAPE_CHEBYSHEV } } } optimizer { nesterov_momentum { momentum: 0.5 } } seed: 5",
          "quadratic { least_squares { ridge: 0.5 dataset { inline { features { rows: 2 cols: 2 "
          "values: [1, 2, 3, 4] } targets { rows: 2 cols: 1 values: [1, -1] } } feature_scaling: "
          "FEATURE_SCALING_STANDARDIZED } } } optimizer { gradient_descent {} tuning: "
          "TUNING_ASYMPTOTIC }",
          "relu_network { width: 5 dataset { synthetic { examples: 4 input_dimension: 3 "
          "correlation: 0.5 } first_examples: 3 } output_weights: [1, -1, 1, -1, 1] } optimizer { "
          "polyak_momentum {} tuning: TUNING_ASYMPTOTIC } plan: EXECUTION_PLAN_DENSE",
          "relu_network { width: 2 dataset { inline { features { rows: 2 cols: 1 values: [1, -2] } "
          "targets { rows: 2 cols: 1 values: [1, -1] } } } initial_hidden_weights { rows: 2 cols: "
          "1 values: [1, -1] } } optimizer { gradient_descent {} }",
          "deep_linear_network { width: 6 depth: 3 dataset { synthetic { examples: 5 "
          "input_dimension: 4 output_dimension: 2 condition_number: 3 } } } optimizer { "
          "polyak_momentum {} }",
          "deep_linear_network { width: 2 depth: 2 initialization: INITIALIZATION_GAUSSIAN dataset "
          "{ inline { features { rows: 2 cols: 2 values: [1, 0, 1, 2] } targets { rows: 2 cols: 1 "
          "values: [1, 2] } } } } optimizer { nesterov_momentum {} }",
          "deep_linear_network { width: 64 depth: 2 dataset { name: 'datasets/wine' "
          "first_examples: 20 } } optimizer { gradient_descent {} }",
      }) {
    specs.push_back(SpecOf(text));
  }
  return specs;
}

// Specs a property draws at a time: it is tried 100 times, and an experiment is soon done.
constexpr int kRounds = 20;

// What the server does with a spec from outside, up to a run of all its iterations.
void ExpectRefusedOrRun(const v1::TrainingJobSpec& message) {
  RC_LOG(message.DebugString());
  spec::Violations violations;
  const auto parsed = spec::ParseTrainingJobSpec(message, SmallLimits(), violations);
  RC_ASSERT(parsed.has_value() == violations.empty());
  std::shared_ptr<const PreparedJob> job;
  if (parsed.has_value()) {
    const double bytes = ForecastCost(*parsed).memory_bytes();
    RC_ASSERT(std::isfinite(bytes));
    if (bytes > SmallLimits().memory_bytes) {
      return;
    }
    job = Prepare(*parsed, violations);
    RC_ASSERT((job != nullptr) == violations.empty());
  }
  for (const spec::Violation& violation : violations.kept()) {
    RC_ASSERT(violation.field.starts_with("spec."));
    RC_ASSERT(violation.description.find("accepted: ") != std::string::npos);
  }
  if (job == nullptr) {
    return;
  }
  storage::MemoryTrace trace(engine::kTraceColumns);
  const testing_support::FakeClock clock;
  const auto result = RunInMemory(*job, trace, clock);
  RC_ASSERT(result.ok());
  RC_ASSERT(trace.row_count() == result->summary.iterations() + 1);
  RC_ASSERT(ForecastRun(*job).memory_bytes() > 0);
}

double AnyDouble() {
  const double most = std::numeric_limits<double>::max();
  const double infinity = std::numeric_limits<double>::infinity();
  return *rc::gen::weightedOneOf<double>(
      {{2, rc::gen::element(0.0, -0.0, 1.0, -1.0, 0.5, 2.0)},
       {1, rc::gen::element(most, -most, infinity, -infinity,
                            std::numeric_limits<double>::quiet_NaN(), 5e-324, 1e-300, 1e200)},
       {2, rc::gen::arbitrary<double>()}});
}

int64_t AnyInteger(int64_t least, int64_t most) {
  return *rc::gen::weightedOneOf<int64_t>({{3, rc::gen::inRange<int64_t>(-1, 12)},
                                           {1, rc::gen::element(least, most)},
                                           {1, rc::gen::inRange<int64_t>(-100, 3000)}});
}

void ChangeScalar(Message& message, const FieldDescriptor* field) {
  const Reflection& reflection = *message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      const int size = field->is_repeated() ? reflection.FieldSize(message, field) : 0;
      if (!field->is_repeated()) {
        reflection.SetDouble(&message, field, AnyDouble());
      } else if (size == 0 || *rc::gen::inRange(0, 4) == 0) {
        reflection.AddDouble(&message, field, AnyDouble());
      } else {
        reflection.SetRepeatedDouble(&message, field, *rc::gen::inRange(0, size), AnyDouble());
      }
      break;
    }
    case FieldDescriptor::CPPTYPE_INT32:
      reflection.SetInt32(&message, field,
                          static_cast<int32_t>(AnyInteger(std::numeric_limits<int32_t>::min(),
                                                          std::numeric_limits<int32_t>::max())));
      break;
    case FieldDescriptor::CPPTYPE_INT64:
      reflection.SetInt64(
          &message, field,
          AnyInteger(std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()));
      break;
    case FieldDescriptor::CPPTYPE_ENUM:
      reflection.SetEnumValue(&message, field, *rc::gen::inRange(-1, 6));
      break;
    case FieldDescriptor::CPPTYPE_STRING:
      reflection.SetString(&message, field,
                           *rc::gen::element<std::string>("datasets/digits", "datasets/wine",
                                                          "datasets/diabetes", "", "x"));
      break;
    default:
      break;
  }
}

// Changes, adds or clears one field somewhere in the tree.
void ChangeSomewhere(Message& message) {
  const Reflection& reflection = *message.GetReflection();
  const auto* descriptor = message.GetDescriptor();
  const FieldDescriptor* field = descriptor->field(*rc::gen::inRange(0, descriptor->field_count()));
  const int dice = *rc::gen::inRange(0, 12);
  if (dice == 0) {
    reflection.ClearField(&message, field);
  } else if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
    ChangeScalar(message, field);
  } else if (field->is_repeated()) {
    const int size = reflection.FieldSize(message, field);
    ChangeSomewhere(size == 0 || dice == 1 ? *reflection.AddMessage(&message, field)
                                           : *reflection.MutableRepeatedMessage(
                                                 &message, field, *rc::gen::inRange(0, size)));
  } else if (field->real_containing_oneof() == nullptr || reflection.HasField(message, field) ||
             dice == 1) {
    ChangeSomewhere(*reflection.MutableMessage(&message, field));
  }
}

RC_GTEST_PROP(RandomSpecs, ChangedFieldsAreRefusedOrRun, ()) {
  static const auto& seeds = *new std::vector<v1::TrainingJobSpec>(Seeds());
  for (int round = 0; round < kRounds; ++round) {
    v1::TrainingJobSpec spec = seeds[*rc::gen::inRange<size_t>(0, seeds.size())];
    const int changes = *rc::gen::inRange(1, 6);
    for (int k = 0; k < changes; ++k) {
      ChangeSomewhere(spec);
    }
    ExpectRefusedOrRun(spec);
  }
}

RC_GTEST_PROP(RandomSpecs, ChangedBytesAreRefusedOrRun, ()) {
  static const auto& seeds = *new std::vector<v1::TrainingJobSpec>(Seeds());
  for (int round = 0; round < kRounds; ++round) {
    std::string bytes = seeds[*rc::gen::inRange<size_t>(0, seeds.size())].SerializeAsString();
    const int changes = *rc::gen::inRange(1, 3);
    for (int k = 0; k < changes && !bytes.empty(); ++k) {
      const auto place = *rc::gen::inRange<size_t>(0, bytes.size());
      // Mostly another byte: what is longer or shorter is seldom a message.
      switch (*rc::gen::inRange(0, 10)) {
        case 0:
          bytes.insert(place, 1, *rc::gen::arbitrary<char>());
          break;
        case 1:
          bytes.erase(place, *rc::gen::inRange<size_t>(1, 9));
          break;
        default:
          bytes[place] = *rc::gen::arbitrary<char>();
          break;
      }
    }
    const google::protobuf::LogSilencer silencer;  // of text that is no UTF-8
    v1::TrainingJobSpec spec;
    if (spec.ParseFromString(bytes)) {
      ExpectRefusedOrRun(spec);
    }
  }
}

TEST(RandomSpecs, TheSpecsTheyStartFromAreGood) {
  for (const v1::TrainingJobSpec& seed : Seeds()) {
    spec::Violations violations;
    const auto parsed = spec::ParseTrainingJobSpec(seed, SmallLimits(), violations);
    ASSERT_TRUE(parsed.has_value()) << seed.DebugString() << violations.kept()[0].description;
    EXPECT_NE(Prepare(*parsed, violations), nullptr) << seed.DebugString();
  }
}

}  // namespace
}  // namespace polyak::runner
