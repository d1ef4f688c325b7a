#include "server/storage/dataset_header.h"

#include <string>

#include "gtest/gtest.h"
#include "server/base/bytes.h"

namespace polyak::storage {
namespace {

DatasetHeaderForm Form() {
  DatasetHeaderForm form;
  form.dataset.set_name("datasets/abc");
  form.dataset.set_examples(3);
  form.dataset.set_input_dimension(2);
  form.dataset.set_output_dimension(1);
  form.dataset.set_display_name(std::string(256, 'x'));
  form.values_crc = 0xfedcba98;
  return form;
}

TEST(DatasetHeader, ComesBackAsItWas) {
  const std::string bytes = EncodeDatasetHeader(Form());
  ASSERT_EQ(static_cast<int64_t>(bytes.size()), kDatasetHeaderBytes);
  const auto decoded = DecodeDatasetHeader(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->dataset.SerializeAsString(), Form().dataset.SerializeAsString());
  EXPECT_EQ(decoded->values_crc, 0xfedcba98);
  EXPECT_EQ(CountValues(decoded->dataset), 9);
}

// By another implementation, from docs/formats/dataset.md.
TEST(DatasetHeader, HasTheBytesOfTheFormat) {
  DatasetHeaderForm form = Form();
  form.dataset.clear_display_name();
  base::StringSink sink;
  sink.Write("PLYKDATA");
  for (const int64_t value : {int64_t{1}, int64_t{0xfedcba98}, int64_t{20}}) {
    sink.WriteInt(value);
  }
  sink.Write(
      "\x0a\x0c"
      "datasets/abc\x18\x03\x20\x02\x28\x01");
  std::string expected = sink.bytes();
  expected.resize(4088);
  expected += std::string("\x50\xe3\xfd\x51\0\0\0\0", 8);
  EXPECT_TRUE(EncodeDatasetHeader(form) == expected);
}

TEST(DatasetHeader, EveryFlippedByteIsSeen) {
  const std::string bytes = EncodeDatasetHeader(Form());
  for (size_t place = 0; place < bytes.size(); ++place) {
    std::string damaged = bytes;
    damaged[place] = static_cast<char>(damaged[place] ^ 0x10);
    EXPECT_EQ(DecodeDatasetHeader(damaged).status().code(), absl::StatusCode::kDataLoss) << place;
  }
}

TEST(DatasetHeader, ACutOneAndZerosAreNone) {
  const std::string bytes = EncodeDatasetHeader(Form());
  EXPECT_TRUE(absl::IsDataLoss(DecodeDatasetHeader(bytes.substr(0, 4095)).status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeDatasetHeader("").status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeDatasetHeader(std::string(4096, '\0')).status()));
}

}  // namespace
}  // namespace polyak::storage
