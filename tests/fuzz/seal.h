#pragma once

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

#include "server/base/crc32c.h"

namespace polyak::fuzz {

// Writes the masked CRC of bytes [from, end - 8) into the 8 bytes before `end`, so that damage
// comes as far as the code behind the check. Nothing if there are no such bytes.
inline void Seal(std::string& bytes, size_t from, size_t end) {
  constexpr size_t kWord = 8;
  if (end > bytes.size() || end < from + kWord) {
    return;
  }
  const auto covered = std::string_view{bytes}.substr(from, end - kWord - from);
  const int64_t crc = base::MaskCrc(base::Crc32c(covered));
  std::memcpy(bytes.data() + end - kWord, &crc, kWord);
}

}  // namespace polyak::fuzz
