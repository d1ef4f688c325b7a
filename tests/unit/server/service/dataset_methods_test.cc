#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/server/service/dataset_service_fixture.h"

namespace polyak::service {
namespace {

using ::testing::HasSubstr;
using DatasetMethodsTest = DatasetServiceTest;

TEST_F(DatasetMethodsTest, ADataSetIsFoundListedAndDeleted) {
  const std::string name = Send({Header(1), Chunk(0, {1, 2, 3})}).response.dataset().name();
  {
    grpc::ClientContext context;
    v1::GetDatasetRequest request;
    request.set_name(name);
    v1::GetDatasetResponse response;
    ASSERT_TRUE(stub_->GetDataset(&context, request, &response).ok());
    EXPECT_EQ(response.dataset().name(), name);
  }
  {
    grpc::ClientContext context;
    v1::ListDatasetsResponse response;
    ASSERT_TRUE(stub_->ListDatasets(&context, {}, &response).ok());
    ASSERT_EQ(response.datasets_size(), 4);
    EXPECT_EQ(response.datasets(3).name(), name);
  }
  v1::DeleteDatasetRequest request;
  request.set_name(name);
  v1::DeleteDatasetResponse response;
  {
    grpc::ClientContext context;
    const grpc::Status deleted = stub_->DeleteDataset(&context, request, &response);
    ASSERT_TRUE(deleted.ok()) << deleted.error_message();
  }
  grpc::ClientContext context;
  const grpc::Status again = stub_->DeleteDataset(&context, request, &response);
  EXPECT_EQ(again.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(again.error_message(), HasSubstr(name));
}

TEST_F(DatasetMethodsTest, RefuseWhatIsNotThere) {
  grpc::ClientContext context;
  v1::GetDatasetRequest request;
  request.set_name("datasets/none");
  v1::GetDatasetResponse response;
  EXPECT_EQ(stub_->GetDataset(&context, request, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
  grpc::ClientContext naming;
  request.set_name("wine");
  EXPECT_EQ(stub_->GetDataset(&naming, request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  grpc::ClientContext listing;
  v1::ListDatasetsRequest page;
  page.set_page_size(1001);
  v1::ListDatasetsResponse pages;
  EXPECT_EQ(stub_->ListDatasets(&listing, page, &pages).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  jobs_->Drain();
  grpc::ClientContext draining;
  v1::DeleteDatasetResponse deleted;
  EXPECT_EQ(stub_->DeleteDataset(&draining, {}, &deleted).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace polyak::service
