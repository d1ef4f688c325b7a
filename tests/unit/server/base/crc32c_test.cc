#include "server/base/crc32c.h"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace polyak::base {
namespace {

struct Known {
  std::string data;
  uint32_t crc;
};

// The vectors of RFC 3720, B.4, and the usual check value of the polynomial.
std::vector<Known> KnownValues() {
  std::string rising(32, '\0');
  std::string falling(32, '\0');
  for (size_t k = 0; k < 32; ++k) {
    rising[k] = static_cast<char>(k);
    falling[k] = static_cast<char>(31 - k);
  }
  return {{"", 0},
          {"123456789", 0xe3069283},
          {std::string(32, '\0'), 0x8a9136aa},
          {std::string(32, '\xff'), 0x62a8ab43},
          {rising, 0x46dd794e},
          {falling, 0x113fdb5c}};
}

std::string RandomBytes(size_t size, std::mt19937_64& random) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) {
    byte = static_cast<char>(random() & 0xff);
  }
  return bytes;
}

TEST(Crc32c, GivesTheKnownValues) {
  for (const Known& known : KnownValues()) {
    EXPECT_EQ(Crc32c(known.data), known.crc) << known.data.size() << " bytes";
    EXPECT_EQ(Crc32cByTable(known.data), known.crc) << known.data.size() << " bytes";
  }
}

TEST(Crc32c, IsTheSameByTableAndByInstructionAtEveryLengthAndOffset) {
  std::mt19937_64 random(1);
  const std::string bytes = RandomBytes(600, random);
  for (size_t offset = 0; offset < 17; ++offset) {
    for (size_t length = 0; length < 80; ++length) {
      const std::string_view part = std::string_view{bytes}.substr(offset, length);
      EXPECT_EQ(Crc32c(part), Crc32cByTable(part)) << length << " bytes from " << offset;
    }
  }
  for (int draw = 0; draw < 2000; ++draw) {
    const std::string_view part =
        std::string_view{bytes}.substr(random() % bytes.size(), random() % bytes.size());
    const auto before = static_cast<uint32_t>(random());
    EXPECT_EQ(Crc32c(part, before), Crc32cByTable(part, before)) << part.size() << " bytes";
  }
}

TEST(Crc32c, GoesOnFromTheValueOfWhatCameBefore) {
  std::mt19937_64 random(2);
  for (int draw = 0; draw < 500; ++draw) {
    const std::string bytes = RandomBytes(random() % 300, random);
    const std::string_view whole = bytes;
    const size_t cut = random() % (bytes.size() + 1);
    const uint32_t crc = Crc32c(whole);
    EXPECT_EQ(Crc32c(whole.substr(cut), Crc32c(whole.substr(0, cut))), crc);
    EXPECT_EQ(Crc32cByTable(whole.substr(cut), Crc32cByTable(whole.substr(0, cut))), crc);
  }
}

TEST(Crc32c, SeesEveryFlippedBit) {
  std::mt19937_64 random(3);
  std::string bytes = RandomBytes(100, random);
  const uint32_t crc = Crc32c(bytes);
  for (char& byte : bytes) {
    for (int bit = 0; bit < 8; ++bit) {
      const char before = byte;
      byte = static_cast<char>(byte ^ (1 << bit));
      EXPECT_NE(Crc32c(bytes), crc);
      byte = before;
    }
  }
}

TEST(MaskCrc, ComesBackByUnmaskAndIsAnotherValue) {
  std::mt19937_64 random(4);
  for (const uint32_t crc : {0U, 1U, 0x7fffffffU, 0x80000000U, 0xffffffffU, 0xe3069283U}) {
    EXPECT_EQ(UnmaskCrc(MaskCrc(crc)), crc);
    EXPECT_NE(MaskCrc(crc), crc);
  }
  for (int draw = 0; draw < 10000; ++draw) {
    const auto crc = static_cast<uint32_t>(random());
    EXPECT_EQ(UnmaskCrc(MaskCrc(crc)), crc);
  }
}

TEST(MaskCrc, IsTheFormThatTheFilesHold) {
  EXPECT_EQ(MaskCrc(0), 0xa282ead8U);
  EXPECT_EQ(MaskCrc(0x8000), 0xa282ead9U);  // rotated by 15 bits
  EXPECT_EQ(MaskCrc(1), 0xa284ead8U);
}

}  // namespace
}  // namespace polyak::base
