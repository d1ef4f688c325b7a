#include "server/storage/run_signature.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace polyak::storage {

std::string Signature(const Machine& machine) {
  return absl::StrCat(machine.build, "\n", machine.processor, "\n", machine.float_control, "\n");
}

std::string SignatureOf(std::string_view description) {
  constexpr int kLines = 3;
  size_t end = 0;
  for (int line = 0; line < kLines && end < description.size(); ++line) {
    end = std::min(description.find('\n', end), description.size() - 1) + 1;
  }
  return std::string(description.substr(0, end));
}

std::string InOneLine(std::string signature) {
  std::replace(signature.begin(), signature.end(), '\n', ' ');
  return absl::StrCat("'", absl::StripSuffix(signature, " "), "'");
}

}  // namespace polyak::storage
