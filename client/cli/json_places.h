#pragma once

#include <map>
#include <string>

namespace polyak::cli {

// Where things stand in a JSON text. Protobuf's JSON parser names the field that is wrong, or shows
// a piece of the text, but no line.
struct JsonPlaces {
  // The first mistake of form with its place ("line 2, column 5: expected ':', got '}'"); empty if
  // there is none.
  std::string syntax_error;
  // "line 3, column 7" of each key and list element, by its path in protobuf's spelling:
  // "optimizer.polyak_momentum.step_size", "linear_term[2]"; the whole text is "".
  std::map<std::string, std::string> places;
};

// Lines and columns are counted from 1.   Cost: O(size of the text), and a map entry a value.
JsonPlaces FindJsonPlaces(const std::string& text);

// The place of what a message of protobuf's JSON parser is about, or empty.
//   message: "(optimizer.polyak_momentum) step: Cannot find field."
std::string PlaceOfJsonError(const JsonPlaces& places, const std::string& message);

}  // namespace polyak::cli
