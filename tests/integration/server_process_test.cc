// polyakd as a process: how it starts, refuses to, serves, and ends.

#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "client/cpp/client.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "tests/support/process.h"

namespace polyak {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;
using testing_support::BinaryPath;
using testing_support::Outcome;
using testing_support::Process;
using testing_support::RunProgram;
using testing_support::Server;

Outcome Polyakd(const std::vector<std::string>& arguments) {
  return RunProgram(BinaryPath("polyakd"), arguments);
}

// A folder that is gone with the test.
class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "polyakd-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// grpc.health.v1.Health.Watch of one server. Its messages are gRPC's own: an empty request asks for
// the server as a whole, and field 1 of an answer is the status.
class HealthWatch {
 public:
  enum Status : char { kNone = 0, kServing = 1, kNotServing = 2 };

  explicit HealthWatch(const std::string& address)
      : stub_(grpc::CreateChannel(address, grpc::InsecureChannelCredentials())) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    call_ = stub_.PrepareCall(&context_, "/grpc.health.v1.Health/Watch", &queue_);
    call_->StartCall(this);
    Complete();
    const grpc::Slice empty("");
    call_->WriteLast(grpc::ByteBuffer(&empty, 1), grpc::WriteOptions(), this);
    Complete();
  }
  ~HealthWatch() {
    context_.TryCancel();
    grpc::Status status;
    call_->Finish(&status, this);
    Complete();
  }

  // The next status the server reports; kNone when the stream has ended.
  Status Next() {
    grpc::ByteBuffer answer;
    call_->Read(&answer, this);
    if (!Complete()) {
      return kNone;
    }
    std::vector<grpc::Slice> slices;
    std::string bytes;
    EXPECT_TRUE(answer.Dump(&slices).ok());
    for (const grpc::Slice& slice : slices) {
      bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
    return bytes.size() == 2 && bytes[0] == '\x08' ? static_cast<Status>(bytes[1]) : kNone;
  }
  void WaitForServing() {
    while (true) {
      const Status status = Next();
      if (status == kServing) {
        return;
      }
      ASSERT_EQ(status, kNotServing);
    }
  }

 private:
  bool Complete() {
    void* tag = nullptr;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }

  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
};

TEST(ServerProcess, StartsWithOneLineAndNothingElseOnStandardOutput) {
  Server server;
  EXPECT_THAT(server.address(), MatchesRegex("127\\.0\\.0\\.1:[1-9][0-9]*"));
  server.process().Signal(SIGTERM);
  EXPECT_EQ(server.process().ReadAll(), "");
  EXPECT_EQ(server.process().Wait(), 0);
  EXPECT_THAT(server.process().Errors(), HasSubstr("draining"));
}

TEST(ServerProcess, EndsAtAnInterruptToo) {
  Server server;
  server.process().Signal(SIGINT);
  EXPECT_EQ(server.process().Wait(), 0);
}

TEST(ServerProcess, PortZeroIsAFreeOneEachTime) {
  const Server one;
  const Server two;
  EXPECT_NE(one.address(), two.address());
}

TEST(ServerProcess, RefusesAnAddressThatIsInUse) {
  const Server first;
  const Outcome second = Polyakd({"--listen=" + first.address()});
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_EQ(second.output, "");
  EXPECT_THAT(second.errors, HasSubstr("can't listen on " + first.address()));
}

TEST(ServerProcess, RefusesAnAddressThatIsNone) {
  for (const char* address : {"127.0.0.1", "127.0.0.1:65536", "unix:"}) {
    const Outcome outcome = Polyakd({std::string("--listen=") + address});
    EXPECT_NE(outcome.exit_code, 0) << address;
    EXPECT_EQ(outcome.output, "") << address;
  }
}

TEST(ServerProcess, RefusesToListenBeyondLoopbackUnlessToldTo) {
  const Outcome refused = Polyakd({"--listen=0.0.0.0:0"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_EQ(refused.output, "");
  EXPECT_THAT(refused.errors, HasSubstr("--allow-unauthenticated"));
  Process allowed(BinaryPath("polyakd"), {"--listen=0.0.0.0:0", "--allow-unauthenticated"});
  EXPECT_THAT(allowed.ReadLine(), StartsWith("grpc 0.0.0.0:"));
  allowed.Signal(SIGTERM);
  EXPECT_EQ(allowed.Wait(), 0);
  EXPECT_THAT(allowed.Errors(), HasSubstr("without authentication and without TLS"));
}

TEST(ServerProcess, RefusesADataFolderThatIsAFile) {
  const Folder folder;
  std::ofstream(folder / "file") << "x";
  for (const std::string& path : {folder / "file", folder / "file/below"}) {
    const Outcome outcome = Polyakd({"--listen=127.0.0.1:0", "--data-dir=" + path});
    EXPECT_EQ(outcome.exit_code, 1) << path;
    EXPECT_EQ(outcome.output, "") << path;
    EXPECT_THAT(outcome.errors, HasSubstr("--data-dir is '" + path + "'"));
    EXPECT_THAT(outcome.errors, HasSubstr("accepted: a directory"));
  }
}

TEST(ServerProcess, MakesADataFolderThatIsMissing) {
  const Folder folder;
  const Server server({"--data-dir=" + (folder / "a/b")});
  EXPECT_TRUE(std::filesystem::is_directory(folder / "a/b"));
}

TEST(ServerProcess, SaysThatTheReserveLeavesNoRoom) {
  const Folder folder;
  Server server(
      {"--data-dir=" + (folder / "data"), "--disk-reserve=1099511627776"});  // of no disk there is
  EXPECT_THAT(server.process().Errors(), HasSubstr("no job is accepted"));
  EXPECT_THAT(server.process().Errors(), HasSubstr("--disk-reserve"));
}

TEST(ServerProcess, ServesOnAUnixSocket) {
  const Folder folder;
  const std::string address = "unix:" + (folder / "socket");
  Process server(BinaryPath("polyakd"), {"--listen=" + address});
  EXPECT_EQ(server.ReadLine(), "grpc " + address);
  client::ClientOptions options;
  options.server = address;
  EXPECT_TRUE(client::Client(options).ServerInfo().ok());
  server.Signal(SIGTERM);
  EXPECT_EQ(server.Wait(), 0) << server.Errors();
}

TEST(ServerProcess, RefusesAUnixSocketThatIsInUseAndTakesOneThatIsLeftOver) {
  const Folder folder;
  const std::string address = "unix:" + (folder / "socket");
  Process first(BinaryPath("polyakd"), {"--listen=" + address});
  ASSERT_EQ(first.ReadLine(), "grpc " + address);
  const Outcome second = Polyakd({"--listen=" + address});
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_EQ(second.output, "");
  EXPECT_THAT(second.errors, HasSubstr("can't listen on " + address));
  client::ClientOptions options;
  options.server = address;
  EXPECT_TRUE(client::Client(options).ServerInfo().ok());  // the first one still has it
  first.Signal(SIGKILL);
  first.Wait();
  ASSERT_TRUE(std::filesystem::exists(folder / "socket"));
  Process third(BinaryPath("polyakd"), {"--listen=" + address});
  EXPECT_EQ(third.ReadLine(), "grpc " + address);
  EXPECT_TRUE(client::Client(options).ServerInfo().ok());
}

TEST(ServerProcess, HealthIsServingAfterTheStartAndNotServingWhileItDrains) {
  Server server;
  HealthWatch watch(server.address());
  watch.WaitForServing();
  const Outcome serving = Polyakd({"healthcheck", "--server=" + server.address()});
  EXPECT_EQ(serving.exit_code, 0) << serving.errors;
  server.process().Signal(SIGTERM);
  EXPECT_EQ(watch.Next(), HealthWatch::kNotServing);
}

TEST(ServerProcess, HealthOfAServerThatIsGoneIsOne) {
  std::string address;
  {
    const Server server;
    address = server.address();
  }
  const Outcome gone = Polyakd({"healthcheck", "--server=" + address});
  EXPECT_EQ(gone.exit_code, 1);
  EXPECT_THAT(gone.errors, HasSubstr(address));
}

TEST(ServerProcess, ATerminationWhileAJobRunsIsStillACleanEnd) {
  Server server;
  client::ClientOptions options;
  options.server = server.address();
  v1::CreateTrainingJobRequest request;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      "quadratic { spectrum { generated { dimension: 10000 condition_number: 1e8 } } } optimizer { "
      "gradient_descent {} } stopping { max_iterations: 3000000 }",
      request.mutable_spec()));
  ASSERT_TRUE(client::Client(options).Submit(request).ok());
  server.process().Signal(SIGTERM);
  EXPECT_EQ(server.process().Wait(), 0) << server.process().Errors();
}

TEST(ServerProcess, AUsageErrorIsTwoAndHelpAndVersionAreZero) {
  EXPECT_EQ(Polyakd({"--speed=9"}).exit_code, 2);
  EXPECT_EQ(Polyakd({"--workers=-1"}).exit_code, 2);
  EXPECT_EQ(Polyakd({"--help"}).exit_code, 0);
  const Outcome version = Polyakd({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.output, StartsWith("polyakd "));
}

}  // namespace
}  // namespace polyak
