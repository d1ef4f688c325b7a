#include "server/jobs/identity.h"

#include <sys/random.h>

#include <algorithm>
#include <array>

#include "absl/strings/str_format.h"
#include "server/base/check.h"

namespace polyak::jobs {
namespace {

std::array<uint8_t, 16> RandomBytes() {
  std::array<uint8_t, 16> bytes{};
  POLYAK_CHECK(getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  return bytes;
}

}  // namespace

std::string RandomUid() {
  std::array<uint8_t, 16> bytes = RandomBytes();
  bytes[6] = static_cast<uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<uint8_t>((bytes[8] & 0x3f) | 0x80);
  std::string uid;
  for (size_t k = 0; k < bytes.size(); ++k) {
    absl::StrAppendFormat(&uid, "%s%02x", k == 4 || k == 6 || k == 8 || k == 10 ? "-" : "",
                          bytes[k]);
  }
  return uid;
}

bool IsUid(std::string_view text) {
  constexpr std::string_view kForm = "xxxxxxxx-xxxx-4xxx-Yxxx-xxxxxxxxxxxx";
  return std::equal(text.begin(), text.end(), kForm.begin(), kForm.end(), [](char c, char form) {
    const std::string_view accepted = form == 'x' ? "0123456789abcdef" : "89ab";
    return form == 'x' || form == 'Y' ? accepted.find(c) != std::string_view::npos : c == form;
  });
}

std::string RandomId() {
  static constexpr char kSymbols[] = "abcdefghijkmnpqrstuvwxyz23456789";
  std::string id = "job-";
  const std::array<uint8_t, 16> bytes = RandomBytes();
  for (size_t k = 0; k < 10; ++k) {
    id += kSymbols[bytes[k] % 32];
  }
  return id;
}

}  // namespace polyak::jobs
