#include "client/cli/spec_file.h"

#include <fstream>
#include <iostream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/json_util.h"

namespace polyak::cli {
namespace {

// Keeps the first complaint of the text parser, with its place (counted from 1).
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    if (text.empty()) {
      text = absl::StrCat("line ", line + 1, ", column ", column + 1, ": ", message);
    }
  }
  std::string text;
};

}  // namespace

absl::StatusOr<v1::TrainingJobSpec> ParseSpecText(const std::string& text,
                                                  const std::string& source) {
  v1::TrainingJobSpec spec;
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && text[first] == '{') {
    const auto status = google::protobuf::util::JsonStringToMessage(text, &spec);
    if (!status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          source, " is not JSON of a TrainingJobSpec: ", std::string(status.message())));
    }
    return spec;
  }
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.SetRecursionLimit(64);
  parser.RecordErrorsTo(&error);
  if (!parser.ParseFromString(text, &spec)) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, " is not a TrainingJobSpec in protobuf text format: ", error.text));
  }
  return spec;
}

absl::StatusOr<v1::TrainingJobSpec> ReadSpecFile(const std::string& path) {
  std::ostringstream text;
  if (path == "-") {
    text << std::cin.rdbuf();
    return ParseSpecText(text.str(), "standard input");
  }
  std::ifstream file(path);
  if (!file) {
    return absl::InvalidArgumentError(absl::StrCat("can't read the spec file '", path, "'"));
  }
  text << file.rdbuf();
  return ParseSpecText(text.str(), path);
}

}  // namespace polyak::cli
