#include "server/base/overloaded.h"

#include <string>
#include <variant>

#include "gtest/gtest.h"

namespace polyak::base {
namespace {

TEST(Overloaded, VisitsEachAlternativeWithItsOwnLambda) {
  using Value = std::variant<int, std::string>;
  const auto describe = [](const Value& value) {
    return std::visit(Overloaded{[](int number) { return "number " + std::to_string(number); },
                                 [](const std::string& text) { return "text " + text; }},
                      value);
  };
  EXPECT_EQ(describe(7), "number 7");
  EXPECT_EQ(describe("seven"), "text seven");
}

}  // namespace
}  // namespace polyak::base
