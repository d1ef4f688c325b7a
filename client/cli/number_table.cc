#include "client/cli/number_table.h"

#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "client/cli/text_file.h"

namespace polyak::cli {
namespace {

std::vector<absl::string_view> Cells(absl::string_view line) {
  if (line.find_first_of(",;\t") == absl::string_view::npos) {
    return absl::StrSplit(line, ' ', absl::SkipEmpty());
  }
  std::vector<absl::string_view> cells = absl::StrSplit(line, absl::ByAnyChar(",;\t"));
  for (absl::string_view& cell : cells) {
    cell = absl::StripAsciiWhitespace(cell);
  }
  return cells;
}

bool AreTitles(const std::vector<absl::string_view>& cells) {
  double number = 0;
  for (const absl::string_view cell : cells) {
    if (absl::SimpleAtod(cell, &number)) {
      return false;
    }
  }
  return true;
}

absl::Status Refused(const std::string& source, int64_t line, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat(source, ", line ", line, ": ", why));
}

absl::Status AddRow(const std::vector<absl::string_view>& cells, const std::string& source,
                    int64_t line, NumberTable& table) {
  if (table.rows == 0) {
    table.columns = static_cast<int64_t>(cells.size());
  } else if (static_cast<int64_t>(cells.size()) != table.columns) {
    return Refused(source, line,
                   absl::StrCat("has ", cells.size(), " cells; accepted: ", table.columns,
                                ", as in the first row"));
  }
  for (const absl::string_view cell : cells) {
    double number = 0;
    if (!absl::SimpleAtod(cell, &number) || !std::isfinite(number)) {
      return Refused(source, line,
                     absl::StrCat("'", cell.substr(0, 40), "'; accepted: a finite number"));
    }
    table.values.push_back(number);
  }
  ++table.rows;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<NumberTable> ParseNumberTable(const std::string& text, const std::string& source) {
  NumberTable table;
  int64_t line_number = 0;
  bool first = true;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++line_number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty()) {
      continue;
    }
    const std::vector<absl::string_view> cells = Cells(line);
    if (first && AreTitles(cells)) {
      first = false;
      continue;
    }
    first = false;
    if (absl::Status status = AddRow(cells, source, line_number, table); !status.ok()) {
      return status;
    }
  }
  if (table.rows == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, " has no row; accepted: rows of numbers"));
  }
  return table;
}

absl::StatusOr<NumberTable> ReadNumberTable(const std::string& path) {
  auto text = ReadTextFile(path, "the data file");
  if (!text.ok()) {
    return text.status();
  }
  return ParseNumberTable(*text, path == "-" ? "standard input" : path);
}

}  // namespace polyak::cli
