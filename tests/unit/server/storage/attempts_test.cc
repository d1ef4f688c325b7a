#include "server/storage/attempts.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace polyak::storage {
namespace {

absl::Status Nothing() { return absl::OkStatus(); }

TEST(Attempts, TheNewestOfARunMayWriteAndNoOtherOne) {
  Attempts attempts;
  const Attempt first = attempts.Begin("u");
  const Attempt other_run = attempts.Begin("v");
  EXPECT_TRUE(first.WhileNewest(Nothing).ok());
  const Attempt second = attempts.Begin("u");
  bool written = false;
  const auto write = [&written] {
    written = true;
    return absl::OkStatus();
  };
  EXPECT_TRUE(absl::IsAborted(first.WhileNewest(write)));
  EXPECT_FALSE(written);
  EXPECT_TRUE(second.WhileNewest(write).ok());
  EXPECT_TRUE(written);
  EXPECT_TRUE(other_run.WhileNewest(Nothing).ok());
}

TEST(Attempts, TellWhatTheWriteSays) {
  Attempts attempts;
  const Attempt attempt = attempts.Begin("u");
  const auto fail = [] { return absl::ResourceExhaustedError("full"); };
  EXPECT_EQ(attempt.WhileNewest(fail), absl::ResourceExhaustedError("full"));
  EXPECT_EQ(Attempt().WhileNewest(fail), absl::ResourceExhaustedError("full"));
}

TEST(Attempts, KnowAnEarlierOneThoughOthersHaveGoneInBetween) {
  Attempts attempts;
  const Attempt first = attempts.Begin("u");
  { const Attempt second = attempts.Begin("u"); }
  EXPECT_TRUE(absl::IsAborted(first.WhileNewest(Nothing)));
}

TEST(Attempts, OfManyThreadsNeverWriteSideBySide) {
  Attempts attempts;
  int writing = 0;  // under the attempts' own lock alone: ThreadSanitizer looks on
  std::atomic<int> written = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int k = 0; k < 500; ++k) {
        const Attempt attempt = attempts.Begin("u");
        const absl::Status status = attempt.WhileNewest([&] {
          EXPECT_EQ(++writing, 1);
          --writing;
          ++written;
          return absl::OkStatus();
        });
        EXPECT_TRUE(status.ok() || absl::IsAborted(status)) << status;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_GT(written, 0);
}

TEST(Attempts, ALaterOneWaitsForAWriteThatHasBegun) {
  Attempts attempts;
  const Attempt first = attempts.Begin("u");
  std::atomic<bool> begun = false;
  std::thread later;
  EXPECT_TRUE(first
                  .WhileNewest([&] {
                    later = std::thread([&] {
                      attempts.Begin("u");
                      begun = true;
                    });
                    // Long enough for one that does not wait.
                    std::this_thread::sleep_for(std::chrono::milliseconds(100));
                    EXPECT_FALSE(begun);
                    return absl::OkStatus();
                  })
                  .ok());
  later.join();
  EXPECT_TRUE(absl::IsAborted(first.WhileNewest(Nothing)));
}

}  // namespace
}  // namespace polyak::storage
