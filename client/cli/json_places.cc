#include "client/cli/json_places.h"

#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace polyak::cli {
namespace {

using google::protobuf::io::Tokenizer;
constexpr int kDepthMax = 100;  // as protobuf's parser

std::string Place(int line, int column) {
  return absl::StrCat("line ", line + 1, ", column ", column + 1);
}

// protobuf accepts "stepSize" and "step_size"; its messages say "step_size".
std::string ToSnakeCase(const std::string& name) {
  std::string result;
  for (const char letter : name) {
    if (absl::ascii_isupper(static_cast<unsigned char>(letter))) {
      result += '_';
    }
    result += absl::ascii_tolower(static_cast<unsigned char>(letter));
  }
  return result;
}

// Walks the text by protobuf's own tokens, which are JSON's, and keeps the place of each value.
class Walker : private google::protobuf::io::ErrorCollector {
 public:
  Walker(const std::string& text, JsonPlaces& result)
      : result_(result),
        stream_(text.data(), static_cast<int>(text.size())),
        tokens_(&stream_, this) {}

  void Walk() {
    tokens_.Next();
    Mark("");
    if (Value("", 0) && tokens_.current().type != Tokenizer::TYPE_END) {
      Refuse("the end of the text");
    }
  }

 private:
  void AddError(int line, int column, const std::string& message) override {
    if (result_.syntax_error.empty()) {
      result_.syntax_error = absl::StrCat(Place(line, column), ": ", message);
    }
  }
  void Mark(const std::string& path) {
    result_.places[path] = Place(tokens_.current().line, tokens_.current().column);
  }
  bool Refuse(const std::string& wanted) {
    const Tokenizer::Token& token = tokens_.current();
    const bool end = token.type == Tokenizer::TYPE_END;
    AddError(token.line, token.column,
             absl::StrCat("expected ", wanted, ", got ",
                          end ? "the end of the text" : absl::StrCat("'", token.text, "'")));
    return false;
  }
  bool Take(const char* symbol) {
    if (tokens_.current().text != symbol) {
      return false;
    }
    tokens_.Next();
    return true;
  }

  bool Value(const std::string& path, int depth) {
    if (depth > kDepthMax) {
      return Refuse("fewer than 100 levels");
    }
    if (Take("{")) {
      return Take("}") || Members(path, depth);
    }
    if (Take("[")) {
      return Take("]") || Elements(path, depth);
    }
    Take("-");
    const auto type = tokens_.current().type;
    if (type == Tokenizer::TYPE_SYMBOL || type == Tokenizer::TYPE_END) {
      return Refuse("a value");
    }
    if (type == Tokenizer::TYPE_FLOAT &&
        !std::isfinite(Tokenizer::ParseFloat(tokens_.current().text))) {
      return Refuse("a number that 64 bits can hold");
    }
    tokens_.Next();
    return true;
  }

  bool Members(const std::string& path, int depth) {
    do {
      if (tokens_.current().type != Tokenizer::TYPE_STRING) {
        return Refuse("a key in double quotes");
      }
      std::string key;
      Tokenizer::ParseStringAppend(tokens_.current().text, &key);
      const std::string member = absl::StrCat(path, path.empty() ? "" : ".", ToSnakeCase(key));
      Mark(member);
      tokens_.Next();
      if (!Take(":")) {
        return Refuse("':'");
      }
      if (!Value(member, depth + 1)) {
        return false;
      }
    } while (Take(","));
    return Take("}") || Refuse("',' or '}'");
  }

  bool Elements(const std::string& path, int depth) {
    int64_t index = 0;
    do {
      const std::string element = absl::StrCat(path, "[", index++, "]");
      Mark(element);
      if (!Value(element, depth + 1)) {
        return false;
      }
    } while (Take(","));
    return Take("]") || Refuse("',' or ']'");
  }

  JsonPlaces& result_;
  google::protobuf::io::ArrayInputStream stream_;
  Tokenizer tokens_;
};

}  // namespace

JsonPlaces FindJsonPlaces(const std::string& text) {
  JsonPlaces result;
  Walker(text, result).Walk();
  return result;
}

std::string PlaceOfJsonError(const JsonPlaces& places, const std::string& message) {
  // "(path): what", "(path) key: what" or "key: what".
  std::string path;
  size_t begin = 0;
  if (!message.empty() && message[0] == '(') {
    const size_t close = message.find(')');
    path = message.substr(1, close - 1);
    begin = close == std::string::npos ? message.size() : close + 1;
  }
  const std::string key(
      absl::StripAsciiWhitespace(message.substr(begin, message.find(':', begin) - begin)));
  if (!key.empty()) {
    absl::StrAppend(&path, path.empty() ? "" : ".", ToSnakeCase(key));
  }
  const auto found = places.places.find(path);
  return found == places.places.end() ? "" : found->second;
}

}  // namespace polyak::cli
