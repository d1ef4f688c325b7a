#include "client/cli/output.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/util/json_util.h"

namespace polyak::cli {
namespace {

size_t Columns(std::string_view text) {
  // Code points, not bytes: close enough for the symbols we print.
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xc0) != 0x80;
  }));
}

// Whether a code point of one or two bytes at `text[k]` controls a terminal: C0, DELETE and C1.
bool IsControl(std::string_view text, size_t k) {
  const auto byte = static_cast<unsigned char>(text[k]);
  const unsigned next = k + 1 < text.size() ? static_cast<unsigned char>(text[k + 1]) : 0;
  return byte < 0x20 || byte == 0x7f || (byte == 0xc2 && next >= 0x80 && next < 0xa0);
}

// "\n" and "\t" as they are written in C, others as "\x1b".
std::string EscapeControls(std::string_view text) {
  std::string escaped;
  for (size_t k = 0; k < text.size(); ++k) {
    if (!IsControl(text, k)) {
      escaped += text[k];
    } else if (text[k] == '\n') {
      escaped += "\\n";
    } else if (text[k] == '\t') {
      escaped += "\\t";
    } else {
      k += text[k] == '\xc2' ? 1 : 0;  // C1: its second byte is the code point
      absl::StrAppendFormat(&escaped, "\\x%02x", static_cast<unsigned char>(text[k]));
    }
  }
  return escaped;
}

void AppendRow(const std::vector<std::string>& cells, const std::vector<size_t>& widths,
               std::string& text) {
  std::string line;
  for (size_t k = 0; k < cells.size(); ++k) {
    absl::StrAppend(&line, cells[k], std::string(widths[k] - Columns(cells[k]) + 2, ' '));
  }
  line.erase(line.find_last_not_of(' ') + 1);
  absl::StrAppend(&text, line, "\n");
}

std::string CsvCell(const std::string& cell) {
  if (cell.find_first_of(",\"\r\n") == std::string::npos) {
    return cell;
  }
  std::string quoted = "\"";
  for (const char byte : cell) {
    quoted += byte;
    if (byte == '"') {
      quoted += '"';
    }
  }
  return quoted + "\"";
}

// Whether a reader of YAML takes the bare text for a number, a truth value or nothing.
bool LooksLikeSomethingElse(const std::string& text) {
  static const auto& words =
      *new std::set<std::string>{"true", "false", "yes", "no", "on", "off", "y", "n", "null", "~"};
  return (text.find_first_of("0123456789") != std::string::npos &&
          text.find_first_not_of("0123456789+-.:_eExXabcdefABCDEF") == std::string::npos) ||
         words.count(absl::AsciiStrToLower(text)) > 0;
}

// Block style throughout. yaml-cpp drops the quotes of scalars, which JSON has on all text.
void Emit(const YAML::Node& node, YAML::Emitter& emitter) {
  if (node.IsMap()) {
    emitter << YAML::Block << YAML::BeginMap;
    for (const auto& member : node) {
      emitter << YAML::Key;
      Emit(member.first, emitter);
      emitter << YAML::Value;
      Emit(member.second, emitter);
    }
    emitter << YAML::EndMap;
  } else if (node.IsSequence()) {
    emitter << YAML::Block << YAML::BeginSeq;
    for (const auto& element : node) {
      Emit(element, emitter);
    }
    emitter << YAML::EndSeq;
  } else if (node.IsScalar()) {
    constexpr char kWasQuoted[] = "!";
    if (node.Tag() == kWasQuoted && LooksLikeSomethingElse(node.Scalar())) {
      emitter << YAML::DoubleQuoted;
    }
    emitter << node.Scalar();
  } else {
    emitter << YAML::Null;
  }
}

}  // namespace

std::string FormatTable(const TextTable& raw) {
  TextTable table = raw;
  for (auto& row : table.rows) {
    for (std::string& cell : row) {
      cell = EscapeControls(cell);
    }
  }
  std::vector<size_t> widths;
  for (const std::string& title : table.titles) {
    widths.push_back(Columns(title));
  }
  for (const auto& row : table.rows) {
    for (size_t k = 0; k < row.size(); ++k) {
      widths[k] = std::max(widths[k], Columns(row[k]));
    }
  }
  std::string text;
  AppendRow(table.titles, widths, text);
  for (const auto& row : table.rows) {
    AppendRow(row, widths, text);
  }
  return text;
}

std::string FormatCsv(const TextTable& table) {
  const auto cell = [](std::string* out, const std::string& value) { out->append(CsvCell(value)); };
  std::string text = absl::StrCat(absl::StrJoin(table.titles, ",", cell), "\n");
  for (const auto& row : table.rows) {
    absl::StrAppend(&text, absl::StrJoin(row, ",", cell), "\n");
  }
  return text;
}

std::string ToJson(const google::protobuf::Message& message, bool every_field) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = every_field;
  std::string text;
  // Only an Any of unknown type can fail here, and no message of ours carries one.
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  return status.ok() ? text : "{}";
}

absl::StatusOr<std::string> ToYaml(const google::protobuf::Message& message) {
  try {
    YAML::Emitter emitter;
    Emit(YAML::Load(ToJson(message)), emitter);
    return absl::StrCat(emitter.c_str(), "\n");
  } catch (const YAML::Exception& error) {
    return absl::InternalError(absl::StrCat("YAML output: ", error.what()));
  }
}

std::string ExactNumber(double value) {
  if (std::isnan(value)) {
    return "nan";
  }
  char text[32];
  const auto result = std::to_chars(text, text + sizeof(text), value);
  return std::string(text, result.ptr);
}

std::string ShortNumber(double value) {
  return std::isnan(value) ? "-" : absl::StrFormat("%.6g", value);
}

}  // namespace polyak::cli
