#include "server/base/status_macros.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"

namespace polyak::base {
namespace {

absl::Status ReturnIfError(const absl::Status& status, int& reached) {
  POLYAK_RETURN_IF_ERROR(status);
  ++reached;
  return absl::OkStatus();
}

TEST(ReturnIfError, GoesOnAfterOk) {
  int reached = 0;
  EXPECT_TRUE(ReturnIfError(absl::OkStatus(), reached).ok());
  EXPECT_EQ(reached, 1);
}

TEST(ReturnIfError, ReturnsAnErrorAsItIs) {
  int reached = 0;
  const absl::Status error = absl::NotFoundError("no such thing");
  EXPECT_EQ(ReturnIfError(error, reached), error);
  EXPECT_EQ(reached, 0);
}

absl::StatusOr<int> Twice(int value, int& evaluated) {
  ++evaluated;
  if (value < 0) {
    return absl::OutOfRangeError("negative");
  }
  return 2 * value;
}

absl::StatusOr<std::string> Sum(int a, int b, int& evaluated) {
  POLYAK_ASSIGN_OR_RETURN(const int first, Twice(a, evaluated));
  POLYAK_ASSIGN_OR_RETURN(const int second, Twice(b, evaluated));
  return std::to_string(first + second);  // StatusOr<int> to StatusOr<std::string>
}

TEST(AssignOrReturn, DeclaresTheValueAndEvaluatesOnce) {
  int evaluated = 0;
  const absl::StatusOr<std::string> sum = Sum(3, 4, evaluated);
  ASSERT_TRUE(sum.ok());
  EXPECT_EQ(*sum, "14");
  EXPECT_EQ(evaluated, 2);
}

TEST(AssignOrReturn, ReturnsTheFirstErrorAndEvaluatesNothingAfterIt) {
  int evaluated = 0;
  EXPECT_EQ(Sum(-1, 4, evaluated).status(), absl::OutOfRangeError("negative"));
  EXPECT_EQ(evaluated, 1);
}

absl::StatusOr<int> Read(absl::StatusOr<std::unique_ptr<int>> source) {
  std::unique_ptr<int> value;
  POLYAK_ASSIGN_OR_RETURN(value, std::move(source));
  return *value;
}

TEST(AssignOrReturn, MovesWhatCannotBeCopiedIntoAVariableThatIsThere) {
  const absl::StatusOr<int> value = Read(std::make_unique<int>(5));
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(*value, 5);
}

}  // namespace
}  // namespace polyak::base
