#include "server/base/worker_pool.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <future>
#include <latch>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "server/base/mutex.h"

namespace polyak::base {
namespace {

TEST(WorkerPool, RunsEveryTaskOnce) {
  constexpr int kTasks = 2000;
  std::vector<std::atomic<int>> runs(kTasks);
  {
    WorkerPool pool(4);
    for (int k = 0; k < kTasks; ++k) {
      pool.Submit([&runs, k] { ++runs[static_cast<size_t>(k)]; });
    }
  }
  for (const std::atomic<int>& count : runs) {
    EXPECT_EQ(count, 1);
  }
}

TEST(WorkerPool, StartsTasksInTheOrderTheyCame) {
  std::vector<int> order;
  {
    WorkerPool pool(1);
    for (int k = 0; k < 100; ++k) {
      pool.Submit([&order, k] { order.push_back(k); });
    }
  }
  ASSERT_EQ(order.size(), 100u);
  for (int k = 0; k < 100; ++k) {
    EXPECT_EQ(order[static_cast<size_t>(k)], k);
  }
}

TEST(WorkerPool, RunsAsManyTasksAtOnceAsItHasThreads) {
  constexpr int kThreads = 3;
  // Each task waits for the two others: with fewer threads it would never end.
  std::latch all_here(kThreads);
  WorkerPool pool(kThreads);
  EXPECT_EQ(pool.thread_count(), kThreads);
  for (int k = 0; k < kThreads; ++k) {
    pool.Submit([&all_here] { all_here.arrive_and_wait(); });
  }
  all_here.wait();
}

TEST(WorkerPool, EndsOnlyAfterEverythingQueuedHasRun) {
  std::atomic<int> runs = 0;
  std::promise<void> gate;
  std::shared_future<void> open = gate.get_future().share();
  std::thread opener;
  {
    WorkerPool pool(2);
    for (int k = 0; k < 50; ++k) {
      pool.Submit([&runs, open] {
        open.wait();
        ++runs;
      });
    }
    // Both threads wait at the gate and 48 tasks behind them, whenever the destructor begins.
    opener = std::thread([&gate] { gate.set_value(); });
  }
  EXPECT_EQ(runs, 50);
  opener.join();
}

TEST(WorkerPool, TakesTasksFromItsOwnTasks) {
  std::promise<int> result;
  WorkerPool pool(1);
  pool.Submit([&] { pool.Submit([&result] { result.set_value(3); }); });
  EXPECT_EQ(result.get_future().get(), 3);
}

TEST(WorkerPool, LetsGoOfWhatATaskHoldsBeforeTheNextOneStarts) {
  const auto held = std::make_shared<int>(1);
  std::promise<int64_t> owners;
  WorkerPool pool(1);
  pool.Submit([held] { EXPECT_EQ(*held, 1); });
  pool.Submit([&] { owners.set_value(held.use_count()); });
  EXPECT_EQ(owners.get_future().get(), 1);
}

TEST(WorkerPool, NamesItsThreads) {
  std::promise<std::string> name;
  WorkerPool pool(1, "polyak-test");
  pool.Submit([&name] {
    char text[16] = {};
    pthread_getname_np(pthread_self(), text, sizeof text);
    name.set_value(text);
  });
  EXPECT_EQ(name.get_future().get(), "polyak-test");
}

TEST(WorkerPool, IsResponsiveWhileIdleAndWhileAllThreadsAreBusy) {
  WorkerPool pool(2);
  EXPECT_TRUE(pool.responsive());
  std::latch both_run(2);
  std::promise<void> gate;
  const std::shared_future<void> open = gate.get_future().share();
  for (int k = 0; k < 2; ++k) {
    pool.Submit([&both_run, open] {
      both_run.count_down();
      open.wait();
    });
  }
  both_run.wait();
  EXPECT_TRUE(pool.responsive());
  pool.Submit([] {});  // waits, but no thread is free
  EXPECT_TRUE(pool.responsive());
  gate.set_value();
}

// State of a thread of this process as the kernel has it: 'R' runs, 'S' sleeps.
char StateOfThread(pid_t thread) {
  std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/stat");
  std::string line;
  std::getline(file, line);
  const size_t name_end = line.rfind(')');
  return name_end == std::string::npos ? '?' : line.at(name_end + 2);
}

TEST(WorkerPoolDeathTest, IsNotResponsiveOnceItsThreadsAreGoneAndATaskWaits) {
  WorkerPool pool(1);
  std::promise<pid_t> number;
  pool.Submit([&number] { number.set_value(gettid()); });
  const pid_t worker = number.get_future().get();
  // Asleep with nobody in the lock: it waits for a task and holds nothing.
  while (StateOfThread(worker) != 'S') {
    std::this_thread::yield();
  }
  // A forked child has the pool and none of its threads.
  GTEST_FLAG_SET(death_test_style, "fast");
  EXPECT_EXIT(
      {
        const bool idle = pool.responsive();
        pool.Submit([] {});
        _exit(idle && !pool.responsive() ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
  EXPECT_TRUE(pool.responsive());
}

TEST(WorkerPoolDeathTest, RefusesToHaveNoThreads) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(WorkerPool(0), "check failed: threads >= 1");
}

}  // namespace
}  // namespace polyak::base
