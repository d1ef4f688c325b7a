#include "client/cli/json_places.h"

#include "gtest/gtest.h"

namespace polyak::cli {
namespace {

TEST(JsonPlaces, GiveLineAndColumnOfEveryKeyInProtobufsSpelling) {
  const JsonPlaces found = FindJsonPlaces(
      "{\n"
      "  \"optimizer\": {\"polyakMomentum\": {\"stepSize\": -1.5e-3}},\n"
      "  \"list\": [1, {\"a\": true}, []],\n"
      "  \"empty\": {}\n"
      "}\n");
  EXPECT_EQ(found.syntax_error, "");
  EXPECT_EQ(found.places.at(""), "line 1, column 1");
  EXPECT_EQ(found.places.at("optimizer"), "line 2, column 3");
  EXPECT_EQ(found.places.at("optimizer.polyak_momentum"), "line 2, column 17");
  EXPECT_EQ(found.places.at("optimizer.polyak_momentum.step_size"), "line 2, column 36");
  EXPECT_EQ(found.places.at("list[0]"), "line 3, column 12");
  EXPECT_EQ(found.places.at("list[1].a"), "line 3, column 16");
  EXPECT_EQ(found.places.at("empty"), "line 4, column 3");
}

TEST(JsonPlaces, NameTheFirstMistakeOfForm) {
  const auto error = [](const char* text) { return FindJsonPlaces(text).syntax_error; };
  EXPECT_EQ(error("{\"a\": 1\n \"b\": 2}"), "line 2, column 2: expected ',' or '}', got '\"b\"'");
  EXPECT_EQ(error("{\"a\" 1}"), "line 1, column 6: expected ':', got '1'");
  EXPECT_EQ(error("{\"a\": }"), "line 1, column 7: expected a value, got '}'");
  EXPECT_EQ(error("{\"a\": 1,}"), "line 1, column 9: expected a key in double quotes, got '}'");
  EXPECT_EQ(error("{\"a\": [1 2]}"), "line 1, column 10: expected ',' or ']', got '2'");
  EXPECT_EQ(error("{\"a\": 1"), "line 1, column 8: expected ',' or '}', got the end of the text");
  EXPECT_EQ(error("{}}"), "line 1, column 3: expected the end of the text, got '}'");
  EXPECT_EQ(error("{\"a\": 1e400}"),
            "line 1, column 7: expected a number that 64 bits can hold, got '1e400'");
  EXPECT_EQ(error("{\"a\": \"open}").substr(0, 17), "line 1, column 13");
}

TEST(JsonPlaces, RefuseAnEndlessNestInsteadOfFollowingIt) {
  EXPECT_NE(FindJsonPlaces(std::string(100'000, '[')).syntax_error, "");
}

TEST(PlaceOfJsonError, ReadsEveryFormOfProtobufsMessages) {
  const JsonPlaces found = FindJsonPlaces("{\"a\": {\n\"bC\": [0,\n1]}}");
  EXPECT_EQ(PlaceOfJsonError(found, "(a.b_c[1]): invalid value \"x\""), "line 3, column 1");
  EXPECT_EQ(PlaceOfJsonError(found, "(a) bC: Cannot find field."), "line 2, column 1");
  EXPECT_EQ(PlaceOfJsonError(found, "a: Proto field is not repeating"), "line 1, column 2");
  EXPECT_EQ(PlaceOfJsonError(found, ": invalid value"), "line 1, column 1");
  EXPECT_EQ(PlaceOfJsonError(found, "(z): invalid value"), "");
  EXPECT_EQ(PlaceOfJsonError(found, "("), "line 1, column 1");
  EXPECT_EQ(PlaceOfJsonError(found, ""), "line 1, column 1");
}

}  // namespace
}  // namespace polyak::cli
