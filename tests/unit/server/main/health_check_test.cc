#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/health_check_service_interface.h"
#include "gtest/gtest.h"
#include "server/main/server.h"

namespace polyak::server {
namespace {

using ::testing::HasSubstr;

// A server with nothing but gRPC's own health service.
class CheckHealthTest : public ::testing::Test {
 protected:
  CheckHealthTest() {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder builder;
    int port = 0;
    builder.RegisterCallbackGenericService(&others_);  // a server without any service can't be made
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }
  ~CheckHealthTest() override { Stop(); }
  void Stop() {
    if (server_ != nullptr) {
      server_->Shutdown();
      server_.reset();
    }
  }

  // What it prints to standard error, and its exit code.
  int Check() {
    ::testing::internal::CaptureStderr();
    const int code = CheckHealth(address_);
    errors_ = ::testing::internal::GetCapturedStderr();
    return code;
  }

  grpc::CallbackGenericService others_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  std::string errors_;
};

TEST_F(CheckHealthTest, AServingServerIsZeroAndSilence) {
  server_->GetHealthCheckService()->SetServingStatus(true);
  EXPECT_EQ(Check(), 0);
  EXPECT_EQ(errors_, "");
}

TEST_F(CheckHealthTest, AServerThatDoesNotServeIsOneAndSaysSo) {
  server_->GetHealthCheckService()->SetServingStatus(false);
  EXPECT_EQ(Check(), 1);
  EXPECT_THAT(errors_, HasSubstr(address_ + " is not serving"));
}

TEST_F(CheckHealthTest, AServerThatIsNotThereIsOneAndNamesTheAddress) {
  Stop();
  EXPECT_EQ(Check(), 1);
  EXPECT_THAT(errors_, HasSubstr("polyakd healthcheck: " + address_));
}

}  // namespace
}  // namespace polyak::server
