#include "server/spec/unknown_fields.h"

#include "tests/unit/server/spec/refusals.h"

namespace polyak::spec {
namespace {

using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// As a client of a later version sends them.
TEST(UnknownFields, OfASpecAreRefusedWhereverTheyAre) {
  const auto add = [](google::protobuf::Message& message, int number) {
    message.GetReflection()->MutableUnknownFields(&message)->AddVarint(number, 1);
  };
  v1::TrainingJobSpec spec = SpecOf(R"pb(
    deep_linear_network {
      dataset {
        inline {
          features { rows: 1 cols: 1 values: 1 }
          targets { rows: 1 cols: 1 values: 1 }
        }
      }
      width: 1
      depth: 2
      initial_weights { rows: 1 cols: 1 values: 1 }
      initial_weights { rows: 1 cols: 1 values: 1 }
    }
    optimizer { gradient_descent { step_size: 0.1 } }
    stopping { max_iterations: 3 })pb");
  EXPECT_THAT(FieldsOf(ViolationsOf(spec)), IsEmpty());
  add(spec, 1000);
  add(spec, 1001);
  add(*spec.mutable_optimizer()->mutable_gradient_descent(), 7);
  add(*spec.mutable_deep_linear_network()->mutable_initial_weights(1), 5);
  const auto violations = ViolationsOf(spec);
  EXPECT_THAT(FieldsOf(violations),
              UnorderedElementsAre("spec.1000", "spec.optimizer.gradient_descent.7",
                                   "spec.deep_linear_network.initial_weights[1].5"));
  EXPECT_THAT(violations.kept().front().description, ::testing::HasSubstr("later version"));
}

}  // namespace
}  // namespace polyak::spec
