#include "client/cli/interrupt.h"

#include <unistd.h>

#include <csignal>
#include <future>
#include <thread>

#include "gtest/gtest.h"

namespace polyak::cli {
namespace {

constexpr int kInterrupted = 130;

// Each runs in a process of its own: signals and the token belong to the whole program.
class InterruptDeathTest : public ::testing::Test {
 protected:
  InterruptDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

// Blocks for ever; a signal ends the program.
[[noreturn]] void BlockForEver() {
  while (true) {
    pause();
  }
}

void WaitForStop(const std::stop_token& token) {
  std::promise<void> stopped;
  const std::stop_callback callback(token, [&stopped] { stopped.set_value(); });
  stopped.get_future().wait();
}

TEST_F(InterruptDeathTest, WithoutAListenerTheFirstSignalEndsTheProgram) {
  for (const int signal : {SIGINT, SIGTERM}) {
    EXPECT_EXIT(
        {
          TakeInterrupts();
          kill(getpid(), signal);
          BlockForEver();
        },
        ::testing::ExitedWithCode(kInterrupted), "polyak: interrupted\n$");
  }
}

TEST_F(InterruptDeathTest, AProgramThatWaitsForAJobSaysThatJobsGoOn) {
  EXPECT_EXIT(
      {
        TakeInterrupts();
        WaitForJob();
        kill(getpid(), SIGTERM);
        BlockForEver();
      },
      ::testing::ExitedWithCode(kInterrupted), "polyak: interrupted; jobs go on\n$");
}

TEST_F(InterruptDeathTest, AListenerHearsTheFirstSignalAndTheProgramGoesOn) {
  EXPECT_EXIT(
      {
        const std::stop_token token = InterruptToken();
        kill(getpid(), SIGINT);
        WaitForStop(token);
        _exit(InterruptToken().stop_requested() ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

TEST_F(InterruptDeathTest, TheSecondSignalEndsTheProgramAllTheSame) {
  EXPECT_EXIT(
      {
        const std::stop_token token = InterruptToken();
        kill(getpid(), SIGINT);
        WaitForStop(token);
        kill(getpid(), SIGINT);
        BlockForEver();
      },
      ::testing::ExitedWithCode(kInterrupted), "");
}

TEST_F(InterruptDeathTest, AThreadStartedBetweenTakingAndListeningDoesNotCatchTheSignal) {
  EXPECT_EXIT(
      {
        TakeInterrupts();
        std::thread(BlockForEver).detach();
        const std::stop_token token = InterruptToken();
        kill(getpid(), SIGINT);
        WaitForStop(token);
        _exit(0);
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace polyak::cli
