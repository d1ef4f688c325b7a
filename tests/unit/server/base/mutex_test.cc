#include "server/base/mutex.h"

#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace polyak::base {
namespace {

struct Counter {
  Mutex mutex;
  CondVar changed;
  int value ABSL_GUARDED_BY(mutex) = 0;
};

TEST(Mutex, LetsOneThreadInAtATime) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 20000;
  Counter counter;
  std::vector<std::thread> threads;
  for (int k = 0; k < kThreads; ++k) {
    threads.emplace_back([&counter] {
      for (int round = 0; round < kRounds; ++round) {
        const MutexLock lock(&counter.mutex);
        // Read and write apart: without the lock some additions would be lost.
        const int value = counter.value;
        counter.value = value + 1;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  const MutexLock lock(&counter.mutex);
  EXPECT_EQ(counter.value, kThreads * kRounds);
}

TEST(CondVar, WaitLetsOthersInAndHoldsTheLockAgainAfterwards) {
  Counter counter;
  std::thread other([&counter] {
    const MutexLock lock(&counter.mutex);
    counter.value = 1;
    counter.changed.Signal();
    while (counter.value != 2) {
      counter.changed.Wait(&counter.mutex);
    }
    counter.value = 3;
    counter.changed.SignalAll();
  });
  {
    const MutexLock lock(&counter.mutex);
    while (counter.value != 1) {
      counter.changed.Wait(&counter.mutex);
    }
    counter.value = 2;
    counter.changed.SignalAll();
    while (counter.value != 3) {
      counter.changed.Wait(&counter.mutex);
    }
    EXPECT_EQ(counter.value, 3);
  }
  other.join();
}

TEST(CondVar, SignalAllWakesEveryWaiter) {
  constexpr int kThreads = 8;
  Counter counter;
  bool open = false;  // under counter.mutex
  std::vector<std::thread> threads;
  for (int k = 0; k < kThreads; ++k) {
    threads.emplace_back([&counter, &open] {
      const MutexLock lock(&counter.mutex);
      ++counter.value;
      while (!open) {
        counter.changed.Wait(&counter.mutex);
      }
    });
  }
  while (true) {
    const MutexLock lock(&counter.mutex);
    if (counter.value == kThreads) {  // all wait, or are about to with the lock in hand
      open = true;
      counter.changed.SignalAll();
      break;
    }
  }
  for (std::thread& thread : threads) {
    thread.join();  // comes back only if all were woken
  }
}

TEST(CondVar, WaitWithTimeoutSaysThatTheTimeIsOver) {
  Counter counter;
  const MutexLock lock(&counter.mutex);
  // A wake may be spurious, so not every wait need end by its time; one of them does.
  while (!counter.changed.WaitWithTimeout(&counter.mutex, absl::Milliseconds(1))) {
  }
  EXPECT_EQ(counter.value, 0);
}

TEST(CondVar, WaitWithTimeoutSaysThatASignalCame) {
  Counter counter;
  std::thread other([&counter] {
    const MutexLock lock(&counter.mutex);
    counter.value = 1;
    counter.changed.Signal();
  });
  {
    const MutexLock lock(&counter.mutex);
    while (counter.value == 0) {
      EXPECT_FALSE(counter.changed.WaitWithTimeout(&counter.mutex, absl::Hours(1)));
    }
  }
  other.join();
}

}  // namespace
}  // namespace polyak::base
