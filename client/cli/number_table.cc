#include "client/cli/number_table.h"

#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "client/cli/text_file.h"

namespace polyak::cli {
namespace {

constexpr char kSeparators[] = ",;\t";
constexpr char kBlanks = ' ';

// The one separator of a text: a semicolon or tab, whichever comes first, if there is one. Then a
// comma can only be a decimal one, which no number here has.
char SeparatorOf(absl::string_view text) {
  bool has_comma = false;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (const size_t found = line.find_first_of(";\t"); found != absl::string_view::npos) {
      return line[found];
    }
    has_comma = has_comma || absl::StrContains(line, ',');
  }
  return has_comma ? ',' : kBlanks;
}

const char* NameOf(char separator) {
  return separator == '\t' ? "a tab" : separator == ';' ? "';'" : "','";
}

std::vector<absl::string_view> Cells(absl::string_view line, char separator) {
  if (separator == kBlanks) {
    return absl::StrSplit(line, separator, absl::SkipEmpty());
  }
  std::vector<absl::string_view> cells = absl::StrSplit(line, separator);
  for (absl::string_view& cell : cells) {
    cell = absl::StripAsciiWhitespace(cell);
  }
  return cells;
}

// A cell that a decimal comma would make a number is no title: it is to be refused, not passed
// over.
bool AreTitles(const std::vector<absl::string_view>& cells) {
  double number = 0;
  for (const absl::string_view cell : cells) {
    if (absl::SimpleAtod(absl::StrReplaceAll(cell, {{",", "."}}), &number)) {
      return false;
    }
  }
  return true;
}

absl::Status Refused(const std::string& source, int64_t line, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat(source, ", line ", line, ": ", why));
}

// Errors: InvalidArgument if a line has a separator that is not that of its text.
absl::Status CheckSeparators(absl::string_view line, char separator, const std::string& source,
                             int64_t line_number) {
  for (const char found : line) {
    if (found != separator && absl::StrContains(kSeparators, found)) {
      return Refused(
          source, line_number,
          absl::StrCat("has ", NameOf(found), ", and the data are separated by ", NameOf(separator),
                       "; accepted: one separator for all lines, and decimal points"));
    }
  }
  return absl::OkStatus();
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
  const char separator = SeparatorOf(text);
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++line_number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty()) {
      continue;
    }
    const std::vector<absl::string_view> cells = Cells(line, separator);
    if (first && AreTitles(cells)) {
      first = false;
      continue;
    }
    first = false;
    if (absl::Status status = CheckSeparators(line, separator, source, line_number); !status.ok()) {
      return status;
    }
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
