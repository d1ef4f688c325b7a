#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/message.h"

namespace polyak::cli {

enum class OutputFormat { kTable, kJson, kYaml, kCsv };

// Rows of text under column titles; numbers are formatted by the caller.
struct TextTable {
  std::vector<std::string> titles;
  std::vector<std::vector<std::string>> rows;
};

// Columns padded to their widest cell, two spaces apart; no trailing spaces. Control characters of
// cells are escaped: names that others gave must not move the cursor of whoever lists them.
std::string FormatTable(const TextTable& table);

// RFC 4180: cells with a comma, quote or line end are quoted.
std::string FormatCsv(const TextTable& table);

// Protobuf's JSON mapping on one line; int64 are strings there. Fields at their default are left
// out unless `every_field`.
std::string ToJson(const google::protobuf::Message& message, bool every_field = false);

// The same content as block-style YAML, ended by a line end.
absl::StatusOr<std::string> ToYaml(const google::protobuf::Message& message);

// Shortest text that reads back as the same double; "nan", "inf", "-inf".
std::string ExactNumber(double value);

// Six significant digits, for people.
std::string ShortNumber(double value);

}  // namespace polyak::cli
