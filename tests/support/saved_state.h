#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "server/base/bytes.h"

namespace polyak::testing_support {

// What an object with Save and Load saves, as bytes.
template <typename Saved>
std::string StateOf(const Saved& saved) {
  base::StringSink sink;
  saved.Save(sink);
  return sink.bytes();
}

template <typename Saved>
absl::Status LoadState(Saved& saved, std::string_view state) {
  base::StringSource source(state);
  return saved.Load(source);
}

// Bytes with one thing wrong: a bit turned, a byte or eight replaced, an end cut off or added.
inline std::string Damaged(std::string bytes, std::mt19937_64& random) {
  const size_t place = random() % bytes.size();
  switch (random() % 6) {
    case 0:
      bytes[place] = static_cast<char>(bytes[place] ^ (1 << (random() % 8)));
      break;
    case 1:
      bytes[place] = static_cast<char>(random());
      break;
    case 2:  // a number of its own kind: very large, very small, negative, NaN
      for (size_t k = place / 8 * 8; k < place / 8 * 8 + 8 && k < bytes.size(); ++k) {
        bytes[k] = static_cast<char>(random() % 2 == 0 ? 0xff : random());
      }
      break;
    case 3:
      bytes.resize(place);
      break;
    case 4:
      bytes.append(1 + random() % 16, static_cast<char>(random()));
      break;
    default: {  // what another place holds
      const size_t from = random() % bytes.size() / 8 * 8;
      bytes.replace(place / 8 * 8, 8, bytes.substr(from, 8));
    }
  }
  return bytes;
}

}  // namespace polyak::testing_support
