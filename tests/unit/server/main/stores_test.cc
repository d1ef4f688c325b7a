#include "server/main/stores.h"

#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temporary_folder.h"

namespace polyak::server {
namespace {

using ::testing::HasSubstr;

const base::SystemClock kClock;

telemetry::Logger Silent() { return telemetry::MakeLogger("off").value(); }

TEST(OpenStores, WithoutADirectoryEverythingIsInMemory) {
  const auto stores = OpenStores("", kClock, Silent());
  ASSERT_TRUE(stores.ok()) << stores.status();
  EXPECT_FALSE(stores->jobs->survives_restart());
}

TEST(OpenStores, ADirectoryIsHeldByOneAtATime) {
  const testing_support::TemporaryFolder folder;
  {
    const auto stores = OpenStores(folder.path(), kClock, Silent());
    ASSERT_TRUE(stores.ok()) << stores.status();
    EXPECT_TRUE(stores->jobs->survives_restart());
    const auto second = OpenStores(folder.path(), kClock, Silent());
    EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
    const std::string message{second.status().message()};
    EXPECT_THAT(message, HasSubstr("--data-dir is '" + folder.path() + "'"));
    EXPECT_THAT(message, HasSubstr("another process holds"));
    EXPECT_THAT(message, HasSubstr("accepted: a directory on a local disk"));
  }
  EXPECT_TRUE(OpenStores(folder.path(), kClock, Silent()).ok());
}

}  // namespace
}  // namespace polyak::server
