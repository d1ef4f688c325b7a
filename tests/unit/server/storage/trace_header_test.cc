#include "server/storage/trace_header.h"

#include <string>

#include "gtest/gtest.h"
#include "server/base/bytes.h"

namespace polyak::storage {
namespace {

TEST(TraceHeader, IsReadAsItWasWritten) {
  const std::string bytes = EncodeTraceHeader(MakeTraceHeader("uid-7", 3, "what the job is"));
  EXPECT_EQ(static_cast<int64_t>(bytes.size()), kTraceHeaderBytes);
  EXPECT_EQ(bytes.substr(0, 8), "PLYTRACE");
  const auto header = DecodeTraceHeader(bytes);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->uid, "uid-7");
  EXPECT_EQ(header->columns, 3);
  EXPECT_EQ(header->description_bytes, 15);
  EXPECT_EQ(header->description_crc, MakeTraceHeader("", 1, "what the job is").description_crc);
}

// By another implementation, from docs/formats/trace.md.
TEST(TraceHeader, HasTheBytesOfTheFormat) {
  base::StringSink sink;
  sink.Write("PLYTRACE");
  for (const int64_t value : {1, 3, 1024, 15, 0x600d71ab, 5}) {
    sink.WriteInt(value);
  }
  sink.Write("uid-7");
  std::string expected = sink.bytes();
  expected.resize(504);
  expected += std::string("\xbd\xfb\x11\x7d\0\0\0\0", 8);
  EXPECT_TRUE(EncodeTraceHeader(MakeTraceHeader("uid-7", 3, "what the job is")) == expected);
}

TEST(TraceHeader, BlocksBeginOnAPageBehindTheDescription) {
  EXPECT_EQ(MakeTraceHeader("u", 3, "").first_block(), 4096);
  EXPECT_EQ(MakeTraceHeader("u", 3, std::string(4096 - 512, 'x')).first_block(), 4096);
  EXPECT_EQ(MakeTraceHeader("u", 3, std::string(4096 - 511, 'x')).first_block(), 8192);
}

TEST(TraceHeader, AnyBitThatIsWrongIsNoticed) {
  const std::string bytes = EncodeTraceHeader(MakeTraceHeader(std::string(256, 'u'), 64, "d"));
  ASSERT_TRUE(DecodeTraceHeader(bytes).ok());
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_TRUE(absl::IsDataLoss(DecodeTraceHeader(flipped).status())) << "bit " << bit;
  }
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_TRUE(absl::IsDataLoss(DecodeTraceHeader(bytes.substr(0, size)).status()));
  }
  EXPECT_TRUE(absl::IsDataLoss(DecodeTraceHeader(std::string(512, '\0')).status()));
}

}  // namespace
}  // namespace polyak::storage
