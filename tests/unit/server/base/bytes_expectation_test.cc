// What a source says of bytes that are not those its reader knows must come.

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/bytes.h"

namespace polyak::base {
namespace {

using ::testing::HasSubstr;

TEST(ByteSource, AcceptsWhatItsReaderExpects) {
  StringSink sink;
  sink.WriteInt(-7);
  sink.WriteDouble(0.1);
  sink.WriteDouble(std::numeric_limits<double>::quiet_NaN());
  StringSource source(sink.bytes());
  source.ExpectInt(-7, "a count");
  source.ExpectDouble(0.1, "a share");
  EXPECT_FALSE(source.at_end());
  source.ExpectDouble(std::numeric_limits<double>::quiet_NaN(), "nothing");
  EXPECT_TRUE(source.status().ok()) << source.status();
  EXPECT_TRUE(source.at_end());
}

TEST(ByteSource, RefusesAnythingElseByItsName) {
  StringSink sink;
  sink.WriteInt(8);
  StringSource source(sink.bytes());
  source.ExpectInt(7, "the number of rows");
  EXPECT_TRUE(absl::IsDataLoss(source.status()));
  EXPECT_THAT(std::string{source.status().message()}, HasSubstr("the number of rows is 8"));
}

TEST(ByteSource, TellsDoublesApartByTheirBits) {
  StringSink sink;
  sink.WriteDouble(-0.0);
  StringSource zero(sink.bytes());
  zero.ExpectDouble(0.0, "a zero");
  EXPECT_TRUE(absl::IsDataLoss(zero.status()));
  StringSink next;
  next.WriteDouble(std::nextafter(0.1, 1));
  StringSource neighbour(next.bytes());
  neighbour.ExpectDouble(0.1, "a share");
  EXPECT_THAT(std::string{neighbour.status().message()},
              HasSubstr("a share is 0.10000000000000002; accepted: 0.10000000000000001"));
}

TEST(ByteSource, KeepsItsFirstErrorWhenAnExpectationFollows) {
  StringSource source("short");
  source.ReadInt();
  source.ExpectInt(7, "a count");
  source.ExpectDouble(0, "a share");
  EXPECT_THAT(std::string{source.status().message()}, HasSubstr("end too early"));
}

}  // namespace
}  // namespace polyak::base
