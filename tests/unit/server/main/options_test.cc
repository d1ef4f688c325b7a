#include "server/main/options.h"

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::server {
namespace {

using ::testing::HasSubstr;

ServerCommand Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "polyakd");
  return ParseCommandLine(static_cast<int>(arguments.size()), arguments.data());
}

ServerOptions Serving(std::vector<const char*> arguments) {
  const ServerCommand command = Parse(std::move(arguments));
  EXPECT_TRUE(std::holds_alternative<ServeCommand>(command));
  return std::get<ServeCommand>(command).options;
}

TEST(Options, DefaultsListenOnLoopback) {
  const ServerOptions options = Serving({});
  EXPECT_EQ(options.listen, "127.0.0.1:50051");
  EXPECT_TRUE(CheckListenAddress(options).ok());
}

TEST(Options, EachFlagIsAlsoAnEnvironmentVariable) {
  setenv("POLYAKD_LISTEN", "127.0.0.1:1234", 1);
  setenv("POLYAKD_WORKERS", "3", 1);
  const ServerOptions options = Serving({});
  unsetenv("POLYAKD_LISTEN");
  unsetenv("POLYAKD_WORKERS");
  EXPECT_EQ(options.listen, "127.0.0.1:1234");
  EXPECT_EQ(options.workers, 3);
}

TEST(Options, AFlagGoesBeforeTheEnvironment) {
  setenv("POLYAKD_LISTEN", "127.0.0.1:1234", 1);
  const ServerOptions options = Serving({"--listen=127.0.0.1:9"});
  unsetenv("POLYAKD_LISTEN");
  EXPECT_EQ(options.listen, "127.0.0.1:9");
}

TEST(Options, AnUnknownFlagIsAUsageError) {
  testing::internal::CaptureStderr();
  const ServerCommand command = Parse({"--speed=9"});
  const std::string text = testing::internal::GetCapturedStderr();
  ASSERT_TRUE(std::holds_alternative<ExitCommand>(command));
  EXPECT_EQ(std::get<ExitCommand>(command).exit_code, 2);
  EXPECT_THAT(text, HasSubstr("--speed=9"));
}

int RefusedWith(const std::vector<const char*>& arguments) {
  testing::internal::CaptureStderr();
  const ServerCommand command = Parse(arguments);
  EXPECT_NE(testing::internal::GetCapturedStderr(), "");
  return std::holds_alternative<ExitCommand>(command) ? std::get<ExitCommand>(command).exit_code
                                                      : 0;
}

TEST(Options, ABudgetOfTheDiskNeedsADirectory) {
  ServerOptions options;
  options.disk_mebibytes = 5;
  EXPECT_THAT(std::string(CheckDisk(options).message()),
              HasSubstr("--disk is 5 without --data-dir"));
  options.data_dir = "/data";
  EXPECT_TRUE(CheckDisk(options).ok());
  EXPECT_TRUE(CheckDisk(ServerOptions()).ok());
}

TEST(Options, NanIsNoDuration) {
  EXPECT_EQ(RefusedWith({"--max-duration=nan"}), 2);
  EXPECT_EQ(RefusedWith({"--retention=nan"}), 2);
  EXPECT_EQ(RefusedWith({"--drain=nan"}), 2);
}

TEST(Options, AConfigFileIsReadFromTheEnvironmentAndMayHoldFlagsOnly) {
  const std::string path = testing::TempDir() + "polyakd_options_test.toml";
  std::ofstream(path) << "workers = 3\n";
  setenv("POLYAKD_CONFIG", path.c_str(), 1);
  EXPECT_EQ(Serving({}).workers, 3);
  std::ofstream(path) << "wrokers = 3\n";
  EXPECT_EQ(RefusedWith({}), 2);
  setenv("POLYAKD_CONFIG", (path + ".absent").c_str(), 1);
  EXPECT_EQ(RefusedWith({}), 2);
  unsetenv("POLYAKD_CONFIG");
}

TEST(Options, HealthCheckIsASubcommand) {
  const ServerCommand command = Parse({"healthcheck", "--server=unix:/tmp/polyak.sock"});
  ASSERT_TRUE(std::holds_alternative<HealthCheckCommand>(command));
  EXPECT_EQ(std::get<HealthCheckCommand>(command).server, "unix:/tmp/polyak.sock");
}

TEST(Options, KnowsWhatIsLoopback) {
  for (const char* address :
       {"127.0.0.1:0", "127.8.9.1:5", "[::1]:50051", "localhost:1", "unix:/run/polyak"}) {
    EXPECT_TRUE(IsLoopback(address)) << address;
  }
  for (const char* address :
       {"0.0.0.0:50051", "[::]:1", "192.168.1.4:1", "example.org:1", "1270.0.0.1:1", "12:1"}) {
    EXPECT_FALSE(IsLoopback(address)) << address;
  }
}

TEST(Options, BeyondLoopbackNeedsTheFlag) {
  ServerOptions options;
  options.listen = "0.0.0.0:50051";
  EXPECT_THAT(std::string(CheckListenAddress(options).message()),
              HasSubstr("--allow-unauthenticated"));
  options.allow_unauthenticated = true;
  EXPECT_TRUE(CheckListenAddress(options).ok());
}

TEST(Options, AMalformedAddressSaysWhatIsAccepted) {
  ServerOptions options;
  for (const char* address : {"", "127.0.0.1", ":50051", "127.0.0.1:", "127.0.0.1:65536",
                              "127.0.0.1:x", "::1:50", "unix:"}) {
    options.listen = address;
    EXPECT_THAT(std::string(CheckListenAddress(options).message()),
                HasSubstr("accepted: HOST:PORT"))
        << address;
  }
}

TEST(Options, RebuildTakesTheDataDirectoryBeforeOrBehindIt) {
  for (const auto& arguments :
       {std::vector<const char*>{"--data-dir=/d", "rebuild", "--replace"},
        std::vector<const char*>{"rebuild", "--data-dir=/d", "--replace"}}) {
    const ServerCommand command = Parse(arguments);
    ASSERT_TRUE(std::holds_alternative<RebuildCommand>(command));
    EXPECT_EQ(std::get<RebuildCommand>(command).data_dir, "/d");
    EXPECT_TRUE(std::get<RebuildCommand>(command).replace);
    EXPECT_FALSE(std::get<RebuildCommand>(command).with_lost);
  }
}

}  // namespace
}  // namespace polyak::server
