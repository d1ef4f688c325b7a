#include "server/storage/sealed_header.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::storage {
namespace {

using ::testing::HasSubstr;

constexpr HeaderKind kKind = {
    .magic = 0x545345544b594c50,  // "PLYKTEST"
    .version = 3,
    .bytes = 48,
};

TEST(SealedHeader, HasTheBytesOfTheFormat) {
  std::string expected = "PLYKTEST";
  expected += std::string("\3\0\0\0\0\0\0\0", 8);
  expected += "fields";
  expected.resize(40);
  // Masked CRC-32C of these 40 bytes, by another implementation.
  expected += std::string("\xc6\x1b\xd9\xe3\0\0\0\0", 8);
  EXPECT_TRUE(SealHeader(kKind, "fields") == expected);
}

TEST(SealedHeader, GivesItsFieldsBackWithZerosBehindThem) {
  for (const std::string& fields : {std::string(), std::string("fields"), std::string(24, 'f')}) {
    const std::string bytes = SealHeader(kKind, fields);
    const auto read = UnsealHeader(kKind, bytes);
    ASSERT_TRUE(read.ok()) << read.status();
    std::string expected = fields;
    expected.resize(24);
    EXPECT_EQ(*read, expected);
  }
}

TEST(SealedHeader, AnyBitThatIsWrongAndAnyByteThatIsMissingIsNoticed) {
  const std::string bytes = SealHeader(kKind, "fields");
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_TRUE(absl::IsDataLoss(UnsealHeader(kKind, flipped).status())) << bit;
  }
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_TRUE(absl::IsDataLoss(UnsealHeader(kKind, bytes.substr(0, size)).status())) << size;
  }
  EXPECT_TRUE(absl::IsDataLoss(UnsealHeader(kKind, bytes + '\0').status()));
  EXPECT_TRUE(absl::IsDataLoss(UnsealHeader(kKind, std::string(48, '\0')).status()));
}

TEST(SealedHeader, AnotherVersionOrKindIsRefusedAndNotTakenForDamage) {
  HeaderKind newer = kKind;
  newer.version = 4;
  const absl::Status refused = UnsealHeader(kKind, SealHeader(newer, "")).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_THAT(std::string{refused.message()}, HasSubstr("of version 4; accepted: 3"));
  HeaderKind other = kKind;
  other.magic += 1;
  EXPECT_TRUE(absl::IsFailedPrecondition(UnsealHeader(kKind, SealHeader(other, "")).status()));
}

TEST(SealedHeaderDeathTest, MoreFieldsThanThereIsRoomForAreAMistake) {
  EXPECT_DEATH((void)SealHeader(kKind, std::string(25, 'f')), "check failed");
}

}  // namespace
}  // namespace polyak::storage
