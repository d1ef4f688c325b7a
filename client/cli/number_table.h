#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace polyak::cli {

// Rows of numbers, row by row.
struct NumberTable {
  int64_t rows = 0;
  int64_t columns = 0;
  std::vector<double> values;
};

// Numbers separated by commas, semicolons, tabs or blanks, one of them throughout, a row a line; a
// first line in which no cell is a number is taken for titles, empty lines are passed over.
//   source: names it in errors.
// Errors: InvalidArgument with the line, for a cell that is no finite number, a row that is shorter
// or longer than the first, a second separator (beside ';' a decimal comma looks like one), or no
// row.
absl::StatusOr<NumberTable> ParseNumberTable(const std::string& text, const std::string& source);

// The same of a file, or of standard input for "-".  Errors: as ReadTextFile too.
absl::StatusOr<NumberTable> ReadNumberTable(const std::string& path);

}  // namespace polyak::cli
