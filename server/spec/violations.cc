#include "server/spec/violations.h"

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace polyak::spec {

void Violations::Add(std::string field, std::string description) {
  ++count_;
  if (kept_.size() < kKept) {
    kept_.push_back({std::move(field), std::move(description)});
  }
}

std::string Digits(double number) {
  if (std::isnan(number)) {
    return "nan";  // its sign and payload mean nothing
  }
  std::array<char, 32> text{};  // 24 characters are the most a double needs
  const auto result = std::to_chars(text.begin(), text.end(), number);
  return {text.begin(), result.ptr};
}

std::string Quoted(const std::string& text) {
  constexpr size_t kBytesMax = 40;
  if (text.size() <= kBytesMax) {
    return absl::StrCat("'", text, "'");
  }
  size_t size = kBytesMax;
  // Bytes 10xxxxxx go on with a character: one that the cut would split is left out.
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) {
    --size;
  }
  return absl::StrCat("'", text.substr(0, size), "...'");
}

}  // namespace polyak::spec
