#include "server/base/stop_token.h"

#include <thread>

#include "gtest/gtest.h"

namespace polyak::base {
namespace {

TEST(StopToken, IsNotSetAtFirst) { EXPECT_FALSE(StopToken().stop_requested()); }

TEST(StopToken, StaysSetHoweverOftenItIsRead) {
  StopToken stop;
  stop.RequestStop();
  EXPECT_TRUE(stop.stop_requested());
  EXPECT_TRUE(stop.stop_requested());
  stop.RequestStop();
  EXPECT_TRUE(stop.stop_requested());
}

TEST(StopToken, ReachesAnotherThreadThatOnlyReads) {
  StopToken stop;
  std::thread reader([&stop] {
    while (!stop.stop_requested()) {
      std::this_thread::yield();
    }
  });
  stop.RequestStop();
  reader.join();  // comes back only if the wish arrived
  EXPECT_TRUE(stop.stop_requested());
}

}  // namespace
}  // namespace polyak::base
