#include "server/base/bytes.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace polyak::base {
namespace {

using namespace std::string_literals;

constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

std::string Written(void (*write)(ByteSink&)) {
  StringSink sink;
  write(sink);
  return sink.bytes();
}

std::string OneInt(int64_t value) {
  StringSink sink;
  sink.WriteInt(value);
  return sink.bytes();
}

TEST(ByteSink, WritesLittleEndianWithCountsInFront) {
  EXPECT_EQ(Written([](ByteSink& sink) { sink.WriteInt(0x0102030405060708); }),
            "\x08\x07\x06\x05\x04\x03\x02\x01"s);
  EXPECT_EQ(Written([](ByteSink& sink) { sink.WriteInt(-2); }),
            "\xfe\xff\xff\xff\xff\xff\xff\xff"s);
  EXPECT_EQ(Written([](ByteSink& sink) { sink.WriteDouble(1.0); }),
            "\x00\x00\x00\x00\x00\x00\xf0\x3f"s);
  EXPECT_EQ(Written([](ByteSink& sink) { sink.WriteDoubles(std::array{-2.0}); }),
            "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xc0"s);
  EXPECT_EQ(Written([](ByteSink& sink) { sink.WriteString("ab"); }),
            "\x02\x00\x00\x00\x00\x00\x00\x00"
            "ab"s);
}

TEST(ByteSource, GivesBackWhatASinkTook) {
  const std::vector<double> numbers = {0.1, -0.0, 5e-324, 1.7976931348623157e308};
  StringSink sink;
  sink.WriteInt(kLeast);
  sink.WriteInt(kMost);
  sink.WriteDouble(-1.5);
  sink.WriteDoubles(numbers);
  sink.WriteDoubles({});
  sink.WriteString("a\0b"s);
  sink.WriteString("");
  sink.Write("end");

  StringSource source(sink.bytes());
  EXPECT_EQ(source.ReadInt(), kLeast);
  EXPECT_EQ(source.ReadIntWithin(kMost, kMost), kMost);
  EXPECT_EQ(source.ReadDouble(), -1.5);
  std::vector<double> read(numbers.size());
  source.ReadDoubles(read);
  EXPECT_EQ(read, numbers);
  EXPECT_TRUE(std::signbit(read[1]));
  source.ReadDoubles({});
  EXPECT_EQ(source.ReadString(3), "a\0b"s);
  EXPECT_EQ(source.ReadString(0), "");
  EXPECT_FALSE(source.at_end());
  std::string end(3, ' ');
  source.Read(end);
  EXPECT_EQ(end, "end");
  EXPECT_TRUE(source.at_end());
  source.Read({});
  EXPECT_TRUE(source.status().ok());
}

TEST(ByteSource, KeepsThePayloadAndTheSignOfNaN) {
  for (const uint64_t bits :
       {uint64_t{0x7ff8000000000000}, uint64_t{0xfff8000000012345}, uint64_t{0x7ff0000000000001}}) {
    StringSink sink;
    sink.WriteDouble(std::bit_cast<double>(bits));
    StringSource source(sink.bytes());
    EXPECT_EQ(std::bit_cast<uint64_t>(source.ReadDouble()), bits);
  }
}

TEST(ByteSource, FailsAtEveryPlaceWhereTheBytesMayEnd) {
  StringSink sink;
  sink.WriteInt(7);
  sink.WriteDouble(1.5);
  sink.WriteDoubles(std::array{2.5, 3.5});
  sink.WriteString("text");
  const std::string& bytes = sink.bytes();
  for (size_t size = 0; size <= bytes.size(); ++size) {
    StringSource source(std::string_view{bytes}.substr(0, size));
    source.ReadInt();
    source.ReadDouble();
    std::array<double, 2> pair = {};
    source.ReadDoubles(pair);
    source.ReadString(10);
    EXPECT_EQ(source.status().ok(), size == bytes.size()) << size << " bytes";
    EXPECT_TRUE(source.at_end()) << size << " bytes";
    if (size < bytes.size()) {
      EXPECT_EQ(source.status().code(), absl::StatusCode::kDataLoss) << size << " bytes";
    }
  }
}

TEST(ByteSource, GivesZerosAndKeepsTheFirstErrorAfterAFailure) {
  const std::string bytes = OneInt(5) + OneInt(6) + OneInt(7);
  StringSource source(bytes);
  source.Fail(absl::UnavailableError("first"));
  source.Fail(absl::DataLossError("second"));
  EXPECT_EQ(source.ReadInt(), 0);
  EXPECT_EQ(source.ReadDouble(), 0.0);
  EXPECT_EQ(source.ReadIntWithin(3, 9), 3);
  EXPECT_EQ(source.ReadString(100), "");
  EXPECT_EQ(source.status(), absl::UnavailableError("first"));
}

TEST(ByteSource, AcceptsACountOfDoublesOnlyIfItIsTheOneExpected) {
  for (const int64_t count : {int64_t{0}, int64_t{1}, int64_t{3}, int64_t{-1}, kMost}) {
    const std::string bytes = OneInt(count) + std::string(24, '\0');
    StringSource source(bytes);
    std::array<double, 2> pair = {};
    source.ReadDoubles(pair);
    EXPECT_EQ(source.status().code(), absl::StatusCode::kDataLoss) << count;
  }
}

TEST(ByteSource, RefusesALongStringBeforeMakingRoomForIt) {
  for (const int64_t size : {int64_t{5}, kMost, int64_t{-1}, kLeast}) {
    const std::string bytes = OneInt(size) + "abcde";
    StringSource source(bytes);
    EXPECT_EQ(source.ReadString(4), "");
    EXPECT_EQ(source.status().code(), absl::StatusCode::kDataLoss) << size;
  }
  const std::string bytes = OneInt(4) + "abcd";
  StringSource source(bytes);
  EXPECT_EQ(source.ReadString(4), "abcd");
  EXPECT_TRUE(source.status().ok());
}

TEST(ByteSource, AcceptsIntegersUpToBothEndsOfTheirRange) {
  for (const int64_t value : {int64_t{-3}, int64_t{-2}, int64_t{0}, int64_t{4}, int64_t{5}}) {
    const std::string bytes = OneInt(value);
    StringSource source(bytes);
    const bool within = -2 <= value && value <= 4;
    EXPECT_EQ(source.ReadIntWithin(-2, 4), within ? value : -2);
    EXPECT_EQ(source.status().ok(), within) << value;
  }
  const std::string bytes = OneInt(9);
  StringSource source(bytes);
  source.ReadIntWithin(-2, 4);
  EXPECT_EQ(source.status().message(), "an integer is 9; accepted: -2 to 4");
}

}  // namespace
}  // namespace polyak::base
