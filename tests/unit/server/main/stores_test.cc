#include "server/main/stores.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temporary_folder.h"

namespace polyak::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const base::SystemClock kClock;

telemetry::Logger Silent() { return telemetry::MakeLogger("off").value(); }

ServerOptions In(const testing_support::TemporaryFolder& folder) {
  ServerOptions options;
  options.data_dir = folder.path();
  return options;
}

TEST(OpenStores, WithoutADirectoryEverythingIsInMemory) {
  const auto stores = OpenStores({}, kClock, Silent());
  ASSERT_TRUE(stores.ok()) << stores.status();
  EXPECT_FALSE(stores->jobs->survives_restart());
}

TEST(OpenStores, ADirectoryIsHeldByOneAtATime) {
  const testing_support::TemporaryFolder folder;
  {
    const auto stores = OpenStores(In(folder), kClock, Silent());
    ASSERT_TRUE(stores.ok()) << stores.status();
    EXPECT_TRUE(stores->jobs->survives_restart());
    const auto second = OpenStores(In(folder), kClock, Silent());
    EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
    const std::string message{second.status().message()};
    EXPECT_THAT(message, HasSubstr("--data-dir is '" + folder.path() + "'"));
    EXPECT_THAT(message, HasSubstr("another process holds"));
    EXPECT_THAT(message, HasSubstr("accepted: a directory on a local disk"));
  }
  EXPECT_TRUE(OpenStores(In(folder), kClock, Silent()).ok());
}

TEST(OpenStores, TheDiskIsUsedAsFarAsTheOptionsSay) {
  const testing_support::TemporaryFolder folder;
  ServerOptions options = In(folder);
  EXPECT_TRUE(OpenStores(options, kClock, Silent())->runs->CheckRoom().ok());
  options.disk_reserve_mebibytes = int64_t{1} << 40;  // more than any disk has
  EXPECT_TRUE(absl::IsResourceExhausted(OpenStores(options, kClock, Silent())->runs->CheckRoom()));
  options.disk_reserve_mebibytes = 0;
  options.disk_mebibytes = 1;
  std::ofstream(folder.path() + "/jobs/left-by-an-earlier-one.trace") << std::string(1 << 20, 'x');
  const auto stores = OpenStores(options, kClock, Silent());
  EXPECT_TRUE(absl::IsResourceExhausted(stores->runs->CheckRoom()));
  EXPECT_TRUE(stores->runs->nearly_full());
}

// Between the two names of polyakd rebuild: an empty catalogue would hide every job.
TEST(OpenStores, BesideAHalfReplacedCatalogueNothingIsBegun) {
  const testing_support::TemporaryFolder folder;
  const std::filesystem::path directory = folder.path();
  std::ofstream(directory / "catalogue.db.rebuilt") << "whole or not";
  const absl::Status refused = OpenStores(In(folder), kClock, Silent()).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  const std::string message{refused.message()};
  EXPECT_THAT(message, HasSubstr("--data-dir is '" + folder.path() + "'"));
  EXPECT_THAT(message, HasSubstr("catalogue.db.rebuilt and no catalogue.db"));
  EXPECT_THAT(message, HasSubstr("accepted: polyakd rebuild, run once more"));
  EXPECT_THAT(message, Not(HasSubstr("newer version")));
  for (const char* const name : {"catalogue.db", "jobs", "lost", "datasets"}) {
    EXPECT_FALSE(std::filesystem::exists(directory / name)) << name;
  }
  // One that was cut off before it touched the catalogue is no hindrance.
  std::filesystem::remove(directory / "catalogue.db.rebuilt");
  ASSERT_TRUE(OpenStores(In(folder), kClock, Silent()).ok());
  std::ofstream(directory / "catalogue.db.rebuilt") << "not whole";
  EXPECT_TRUE(OpenStores(In(folder), kClock, Silent()).ok());
}

}  // namespace
}  // namespace polyak::server
