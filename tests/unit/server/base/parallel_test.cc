#include "server/base/parallel.h"

#include <array>
#include <atomic>
#include <mutex>
#include <new>
#include <set>
#include <thread>

#include "gtest/gtest.h"

namespace polyak::base {
namespace {

TEST(RunParts, RunsEveryPartOnceOnAThreadOfItsOwn) {
  std::array<std::atomic<int>, 4> runs = {};
  std::mutex mutex;
  std::set<std::thread::id> threads;
  RunParts(4, [&](int part) {
    ++runs.at(static_cast<size_t>(part));
    const std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
  });
  for (const auto& count : runs) {
    EXPECT_EQ(count, 1);
  }
  EXPECT_TRUE(threads.contains(std::this_thread::get_id()));
}

TEST(RunParts, ThrowsOnWhatAPartThrowsWhenAllHaveEnded) {
  std::atomic<int> ended = 0;
  EXPECT_THROW(RunParts(3,
                        [&ended](int part) {
                          ++ended;
                          if (part > 0) {
                            throw std::bad_alloc();
                          }
                        }),
               std::bad_alloc);
  EXPECT_EQ(ended, 3);
}

TEST(RunParts, OfNoneDoesNothing) {
  RunParts(0, [](int /*part*/) { ADD_FAILURE(); });
}

TEST(PartsThatPay, AreAtLeastOneAndAtMostThoseAllowed) {
  EXPECT_EQ(PartsThatPay(1), 1);
  EXPECT_GE(PartsThatPay(2), 1);
  EXPECT_LE(PartsThatPay(2), 2);
}

}  // namespace
}  // namespace polyak::base
