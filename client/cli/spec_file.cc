#include "client/cli/spec_file.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/cli/json_places.h"
#include "client/cli/text_file.h"
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

// What is wrong with a JSON text, in one line and with its place.
//   complaint: of protobuf's parser.
std::string JsonError(const std::string& text, std::string_view complaint) {
  const JsonPlaces places = FindJsonPlaces(text);
  if (!places.syntax_error.empty()) {
    return places.syntax_error;
  }
  const std::string message(complaint.substr(0, complaint.find('\n')));
  const std::string place = PlaceOfJsonError(places, message);
  return absl::StrCat(place, place.empty() ? "" : ": ", absl::StripPrefix(message, ": "));
}

}  // namespace

absl::StatusOr<v1::TrainingJobSpec> ParseSpecText(const std::string& text,
                                                  const std::string& source) {
  v1::TrainingJobSpec spec;
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && text[first] == '{') {
    const auto status = google::protobuf::util::JsonStringToMessage(text, &spec);
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(source, " is not JSON of a TrainingJobSpec: ",
                       JsonError(text, {status.message().data(), status.message().size()})));
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
  const auto text = ReadTextFile(path, "the spec file");
  if (!text.ok()) {
    return text.status();
  }
  return ParseSpecText(*text, path == "-" ? "standard input" : path);
}

}  // namespace polyak::cli
