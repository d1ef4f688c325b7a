#include "server/jobs/dataset_upload.h"

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"
#include "server/base/crc32c.h"
#include "server/jobs/errors.h"
#include "server/storage/memory_dataset_store.h"
#include "tests/support/fake_clock.h"

namespace polyak::jobs {
namespace {

using ::testing::HasSubstr;

// One that has nothing and lets everybody in.
class OpenRoom : public UploadRoom {
 public:
  std::optional<v1::StoredDataset> FindSame(const std::string& /*sha256*/) const override {
    return same;
  }
  absl::Status BeginStoring(const std::string& /*name*/) override { return busy; }
  void EndStoring(const std::string& /*name*/, const v1::StoredDataset* stored) override {
    stored_name = stored == nullptr ? "" : stored->name();
  }
  void Leave(const DatasetUpload& /*upload*/, int64_t bytes) override { given_back += bytes; }

  std::optional<v1::StoredDataset> same;
  absl::Status busy;
  std::string stored_name;
  int64_t given_back = 0;
};

// "field: description" of the only violation of a refusal.
std::string Violation(const absl::Status& status) {
  google::rpc::Status details;
  details.ParseFromString(std::string{status.GetPayload(kDetailsUrl).value_or(absl::Cord())});
  google::rpc::BadRequest bad_request;
  for (const auto& detail : details.details()) {
    detail.UnpackTo(&bad_request);
  }
  return bad_request.field_violations_size() == 1
             ? bad_request.field_violations(0).field() + ": " +
                   bad_request.field_violations(0).description()
             : status.ToString();
}

class DatasetUploadTest : public ::testing::Test {
 protected:
  DatasetUploadTest() {
    header_.set_examples(2);
    header_.set_input_dimension(2);
    header_.set_output_dimension(1);
  }
  std::unique_ptr<DatasetUpload> Begin() {
    return std::make_unique<DatasetUpload>(header_, room_, clock_, *store_.Begin(), [] {});
  }
  static v1::DatasetChunk Chunk(int64_t first, const std::vector<double>& values) {
    v1::DatasetChunk chunk;
    chunk.set_first_value(first);
    chunk.mutable_values()->Assign(values.begin(), values.end());
    return chunk;
  }

  // SHA-256 of the three sizes and of 1, 2, 3, 4, -1, 0.5, by Python's hashlib.
  static constexpr char kDigest[] =
      "10d955c4319c1fd132ff5880180631765c7e3fc03659378770f8786300cb70a6";
  v1::DatasetHeader header_;
  OpenRoom room_;
  testing_support::FakeClock clock_;
  storage::MemoryDatasetStore store_;
};

TEST_F(DatasetUploadTest, IsNamedByItsNumbers) {
  header_.set_sha256(kDigest);
  header_.set_display_name("mine");
  const auto upload = Begin();
  v1::DatasetChunk first = Chunk(0, {1, 2, 3, 4});
  const std::vector<double> values = {1, 2, 3, 4};
  first.set_crc32c(base::Crc32c({reinterpret_cast<const char*>(values.data()), 32}));
  ASSERT_TRUE(upload->Add(first).ok());
  ASSERT_TRUE(upload->Add(Chunk(4, {-1, 0.5})).ok());
  const auto stored = upload->Finish();
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->sha256(), kDigest);
  EXPECT_EQ(stored->name(), "datasets/" + std::string(kDigest, 40));
  EXPECT_EQ(stored->display_name(), "mine");
  EXPECT_EQ(stored->examples(), 2);
  EXPECT_TRUE(stored->has_create_time());
  EXPECT_EQ(room_.stored_name, stored->name());
}

TEST_F(DatasetUploadTest, GivesItsRoomBackUnlessItIsKept) {
  { const auto dropped = Begin(); }
  EXPECT_EQ(room_.given_back, DatasetBytes(2, 2, 1));
  room_.given_back = 0;
  {
    const auto kept = Begin();
    ASSERT_TRUE(kept->Add(Chunk(0, {1, 2, 3, 4, 5, 6})).ok());
    ASSERT_TRUE(kept->Finish().ok());
  }
  EXPECT_EQ(room_.given_back, 0);
  room_.same = v1::StoredDataset();
  {
    const auto twin = Begin();
    ASSERT_TRUE(twin->Add(Chunk(0, {1, 2, 3, 4, 5, 6})).ok());
    ASSERT_TRUE(twin->Finish().ok());
  }
  EXPECT_EQ(room_.given_back, DatasetBytes(2, 2, 1));
}

TEST_F(DatasetUploadTest, RefusesWhatDoesNotFollow) {
  const auto upload = Begin();
  ASSERT_TRUE(upload->Add(Chunk(0, {1, 2})).ok());
  EXPECT_EQ(Violation(upload->Add(Chunk(0, {1, 2}))),
            "chunk.first_value: is 0; accepted: 2, the number of values before");
  EXPECT_EQ(Violation(upload->Add(Chunk(3, {1}))),
            "chunk.first_value: is 3; accepted: 2, the number of values before");
  EXPECT_THAT(Violation(upload->Add(Chunk(2, {}))), HasSubstr("chunk.values: has 0 values"));
  EXPECT_EQ(Violation(upload->Add(Chunk(2, {1, 2, 3, 4, 5}))),
            "chunk.values: has 5 values; accepted: 1 to 4, what is missing of 6");
  EXPECT_THAT(Violation(upload->Finish().status()), HasSubstr("ended after 2 values; accepted: 6"));
}

TEST_F(DatasetUploadTest, RefusesNumbersAndSumsThatAreNotRight) {
  const auto upload = Begin();
  EXPECT_THAT(Violation(upload->Add(Chunk(0, {1, std::nan("")}))),
              HasSubstr("chunk.values[1]: is nan"));
  v1::DatasetChunk chunk = Chunk(0, {1, 2, 3, 4, -1, 0.5});
  chunk.set_crc32c(1);
  EXPECT_THAT(Violation(upload->Add(chunk)),
              HasSubstr("chunk.crc32c: is 0x00000001; accepted: 0x"));
  header_.set_sha256(std::string(64, 'a'));
  const auto other = Begin();
  chunk.clear_crc32c();
  ASSERT_TRUE(other->Add(chunk).ok());
  EXPECT_THAT(Violation(other->Finish().status()), HasSubstr(std::string("accepted: ") + kDigest));
  EXPECT_EQ(room_.stored_name, "");
}

TEST_F(DatasetUploadTest, IsToldToComeAgainWhileItsNameIsBusy) {
  room_.busy = absl::UnavailableError("just being deleted");
  const auto upload = Begin();
  ASSERT_TRUE(upload->Add(Chunk(0, {1, 2, 3, 4, -1, 0.5})).ok());
  EXPECT_TRUE(absl::IsUnavailable(upload->Finish().status()));
}

}  // namespace
}  // namespace polyak::jobs
