#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/server/service/dataset_service_fixture.h"

namespace polyak::service {
namespace {

using CreateDatasetTest = DatasetServiceTest;

TEST_F(CreateDatasetTest, TakesAHeaderAndChunks) {
  const auto answer = Send({Header(2), Chunk(0, {1, 2}), Chunk(2, {3, 4, 5, 6})});
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.response.dataset().examples(), 2);
  EXPECT_TRUE(datasets_->Find(answer.response.dataset().name()).has_value());
}

TEST_F(CreateDatasetTest, AnswersAtTheHeaderForNumbersThatAreThere) {
  const auto first = Send({Header(2), Chunk(0, {1, 2, 3, 4, 5, 6})});
  v1::CreateDatasetRequest header = Header(2);
  header.mutable_header()->set_sha256(first.response.dataset().sha256());
  // Nothing else is sent, and the stream stays open.
  const auto again = Send({header}, false);
  ASSERT_TRUE(again.status.ok()) << again.status.error_message();
  EXPECT_EQ(again.response.dataset().name(), first.response.dataset().name());
}

TEST_F(CreateDatasetTest, RefusesPartsOutOfOrder) {
  for (const std::vector<v1::CreateDatasetRequest>& parts :
       {std::vector<v1::CreateDatasetRequest>{Chunk(0, {1})},
        {},
        {Header(1), Header(1)},
        {Header(1), Chunk(0, {1})},
        {Header(1), Chunk(1, {1})},
        {Header(0)}}) {
    const auto answer = Send(parts);
    EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT)
        << answer.status.error_message();
  }
  // Their places and their room are free again.
  EXPECT_TRUE(Send({Header(1), Chunk(0, {1, 2, 3})}).status.ok());
}

TEST_F(CreateDatasetTest, OfAClientThatGoesAwayNothingStays) {
  for (int k = 0; k < 20; ++k) {  // more than there are places
    grpc::ClientContext context;
    v1::CreateDatasetResponse response;
    const auto writer = stub_->CreateDataset(&context, &response);
    ASSERT_TRUE(writer->Write(Header(1)));
    context.TryCancel();
    EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  Answer answer;
  do {  // the last of them may still be on its way out
    answer = Send({Header(1), Chunk(0, {1, 2, 3})});
  } while (answer.status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
}

TEST_F(CreateDatasetTest, IsRefusedByAServerThatIsAboutToStop) {
  jobs_->Drain();
  EXPECT_EQ(Send({Header(1), Chunk(0, {1, 2, 3})}).status.error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace polyak::service
