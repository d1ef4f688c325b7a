// Every number of the schema, set to what no spec may hold: walked by reflection, so that a field
// that is added without a check fails here.

#include <functional>
#include <limits>
#include <set>

#include "tests/unit/server/spec/refusals.h"

namespace polyak::spec {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using ::testing::Contains;

// Good specs that together set every message of the schema.
std::vector<v1::TrainingJobSpec> GoodSpecs() {
  const std::string rest =
      " stopping { max_iterations: 5 relative_loss: 0.5 max_duration { seconds: 1 nanos: 5 } }";
  const std::string synthetic =
      "dataset { synthetic { examples: 3 input_dimension: 2 output_dimension: 1 seed: 1 } "
      "first_examples: 2 }";
  const std::string inlined =
      "dataset { inline { features { rows: 2 cols: 1 values: [1, 2] } targets { rows: 2 cols: 1 "
      "values: [1, -1] } } first_examples: 2 }";
  return {
      SpecOf("quadratic { matrix { rows: 2 cols: 2 values: [2, 1, 1, 2] } linear_term: [1, 1] "
             "initial_point: [0, 1] } optimizer { gradient_descent { step_size: 0.1 } }" +
             rest),
      SpecOf("quadratic { spectrum { explicit { eigenvalues: [1, 2] } } } optimizer { "
             "polyak_momentum { step_size: 0.1 momentum: 0.5 } }" +
             rest),
      SpecOf("quadratic { spectrum { generated { dimension: 3 condition_number: 4 smoothness: 2 } "
             "} } optimizer { nesterov_momentum { step_size: 0.1 momentum: 0.5 } }" +
             rest),
      SpecOf("quadratic { least_squares { ridge: 0.5 " + inlined + " } }" + rest),
      SpecOf("quadratic { least_squares { ridge: 0.5 " + synthetic + " } }" + rest),
      SpecOf("relu_network { width: 2 " + inlined +
             " initial_hidden_weights { rows: 2 cols: 1 values: [1, -1] } output_weights: [1, -1] "
             "}" +
             rest),
      SpecOf("relu_network { width: 2 " + synthetic + " }" + rest),
      SpecOf("deep_linear_network { width: 2 depth: 2 " + synthetic + " }" + rest),
      SpecOf("deep_linear_network { width: 1 depth: 2 " + inlined +
             " initial_weights { rows: 1 cols: 1 values: 1 } initial_weights { rows: 1 cols: 1 "
             "values: 2 } }" +
             rest),
  };
}

// One number or enumeration of a message.
struct Leaf {
  Message* message;
  const FieldDescriptor* field;
  int index;         // in a repeated field; else -1
  std::string path;  // "spec.stopping.relative_loss"
};

// Calls `visit` with every scalar that is set or could be, in messages that are set.
void Walk(Message& message, const std::string& path,
          const std::function<void(const Leaf&)>& visit) {
  const Reflection& reflection = *message.GetReflection();
  const Descriptor& descriptor = *message.GetDescriptor();
  for (int k = 0; k < descriptor.field_count(); ++k) {
    const FieldDescriptor* field = descriptor.field(k);
    const std::string here = absl::StrCat(path, ".", field->name());
    const bool is_message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (field->is_repeated()) {
      for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
        const std::string element = absl::StrCat(here, "[", i, "]");
        if (is_message) {
          Walk(*reflection.MutableRepeatedMessage(&message, field, i), element, visit);
        } else {
          visit({&message, field, i, element});
        }
      }
    } else if (is_message) {
      if (reflection.HasField(message, field)) {
        Walk(*reflection.MutableMessage(&message, field), here, visit);
      }
    } else if (field->real_containing_oneof() == nullptr) {
      visit({&message, field, -1, here});
    }
  }
}

void SetDouble(const Leaf& leaf, double value) {
  const Reflection& reflection = *leaf.message->GetReflection();
  if (leaf.index >= 0) {
    reflection.SetRepeatedDouble(leaf.message, leaf.field, leaf.index, value);
  } else {
    reflection.SetDouble(leaf.message, leaf.field, value);
  }
}

// The full names of all fields of a type that a spec can reach.
void CollectFields(const Descriptor& descriptor, FieldDescriptor::CppType type,
                   std::set<const Descriptor*>& seen, std::set<std::string>& names) {
  if (!seen.insert(&descriptor).second) {
    return;
  }
  for (int k = 0; k < descriptor.field_count(); ++k) {
    const FieldDescriptor* field = descriptor.field(k);
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      CollectFields(*field->message_type(), type, seen, names);
    } else if (field->cpp_type() == type) {
      names.insert(field->full_name());
    }
  }
}
std::set<std::string> FieldsOfType(FieldDescriptor::CppType type) {
  std::set<const Descriptor*> seen;
  std::set<std::string> names;
  CollectFields(*v1::TrainingJobSpec::descriptor(), type, seen, names);
  return names;
}

// For each leaf of the good specs: a spec in which `change` has spoilt it, and its path. `change`
// returns how many ways it has; 0 for a leaf it leaves alone. Returns the names of the spoilt
// fields.
std::set<std::string> SpoilEach(const std::function<int(const Leaf&, int)>& change) {
  std::set<std::string> spoilt;
  for (const v1::TrainingJobSpec& good : GoodSpecs()) {
    EXPECT_TRUE(ViolationsOf(good).empty()) << good.DebugString() << Text(ViolationsOf(good));
    int leaves = 0;
    v1::TrainingJobSpec counted = good;
    Walk(counted, "spec", [&leaves](const Leaf& /*leaf*/) { ++leaves; });
    for (int wanted = 0; wanted < leaves; ++wanted) {
      int ways = 1;
      for (int way = 0; way < ways; ++way) {
        v1::TrainingJobSpec spec = good;
        std::string path;
        int number = 0;
        Walk(spec, "spec", [&](const Leaf& leaf) {
          if (number++ == wanted) {
            ways = change(leaf, way);
            path = leaf.path;
            if (ways > 0) {
              spoilt.insert(leaf.field->full_name());
            }
          }
        });
        if (ways > 0) {
          // A duration is one field to whoever sends it.
          const size_t duration = path.find(".max_duration.");
          const Violations violations = ViolationsOf(spec);
          EXPECT_THAT(FieldsOf(violations),
                      Contains(path.substr(0, duration == std::string::npos
                                                  ? duration
                                                  : duration + sizeof(".max_duration") - 1)))
              << spec.DebugString() << Text(violations);
          for (const Violation& violation : violations.kept()) {
            EXPECT_THAT(violation.description, ::testing::HasSubstr("accepted: "));
          }
        }
      }
    }
  }
  return spoilt;
}

TEST(HostileSpecs, NoNumberOfTheSchemaMayBeNaNOrInfinite) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double values[] = {std::numeric_limits<double>::quiet_NaN(), kInfinity, -kInfinity};
  const auto spoilt = SpoilEach([&values](const Leaf& leaf, int way) {
    if (leaf.field->cpp_type() != FieldDescriptor::CPPTYPE_DOUBLE) {
      return 0;
    }
    SetDouble(leaf, values[way]);
    return 3;
  });
  EXPECT_EQ(spoilt, FieldsOfType(FieldDescriptor::CPPTYPE_DOUBLE));
}

template <typename Integer>
Integer Extreme(int way) {
  const Integer values[] = {-1, std::numeric_limits<Integer>::min(),
                            std::numeric_limits<Integer>::max()};
  return values[way];
}

TEST(HostileSpecs, NoSizeOfTheSchemaMayBeNegativeOrHuge) {
  const std::set<std::string> seeds = {"polyak.v1.TrainingJobSpec.seed",
                                       "polyak.v1.SyntheticDataset.seed"};
  auto spoilt = SpoilEach([&seeds](const Leaf& leaf, int way) {
    const Reflection& reflection = *leaf.message->GetReflection();
    if (seeds.contains(leaf.field->full_name())) {
      return 0;
    }
    if (leaf.field->cpp_type() == FieldDescriptor::CPPTYPE_INT32) {
      reflection.SetInt32(leaf.message, leaf.field, Extreme<int32_t>(way));
      return 3;
    }
    if (leaf.field->cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
      reflection.SetInt64(leaf.message, leaf.field, Extreme<int64_t>(way));
      return 3;
    }
    return 0;
  });
  std::set<std::string> all = FieldsOfType(FieldDescriptor::CPPTYPE_INT32);
  all.merge(FieldsOfType(FieldDescriptor::CPPTYPE_INT64));
  spoilt.insert(seeds.begin(), seeds.end());  // any number is a seed
  EXPECT_EQ(spoilt, all);
}

TEST(HostileSpecs, NoEnumerationOfTheSchemaMayBeUnknown) {
  const auto spoilt = SpoilEach([](const Leaf& leaf, int way) {
    if (leaf.field->cpp_type() != FieldDescriptor::CPPTYPE_ENUM) {
      return 0;
    }
    constexpr int kUnknown[] = {99, -1, std::numeric_limits<int32_t>::min()};
    leaf.message->GetReflection()->SetEnumValue(leaf.message, leaf.field, kUnknown[way]);
    return 3;
  });
  EXPECT_EQ(spoilt, FieldsOfType(FieldDescriptor::CPPTYPE_ENUM));
}

}  // namespace
}  // namespace polyak::spec
