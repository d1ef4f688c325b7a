#include "server/jobs/pulse.h"

#include <atomic>
#include <condition_variable>
#include <limits>
#include <memory>
#include <mutex>
#include <vector>

#include "gtest/gtest.h"
#include "server/engine/trainer/trainer.h"
#include "server/storage/memory_trace.h"

namespace polyak::jobs {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

std::shared_ptr<Job> MakeJob() {
  return std::make_shared<Job>(std::make_shared<v1::TrainingJob>());
}

// Gives the job a trace with one row more than it has.
void AppendRow(Job& job) {
  const int64_t rows = job.reader()->row_count() + 1;
  auto trace = std::make_shared<storage::MemoryTrace>(engine::kTraceColumns);
  trace->Reserve(rows);
  for (int64_t row = 0; row < rows; ++row) {
    trace->Append(std::vector<double>(engine::kTraceColumns, 1.0));
  }
  EXPECT_TRUE(trace->Publish(0).ok());
  job.set_trace(std::move(trace));
}

// Counts wakes, and lets a test wait for the next one.
class WakeCount {
 public:
  void Add() {
    const std::lock_guard lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  void WaitFor(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this, count] { return count_ >= count; });
  }
  int count() {
    const std::lock_guard lock(mutex_);
    return count_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

TEST(Pulse, WakesANewWatcherOnceAndThenWheneverRowsOrStateMoved) {
  base::SystemClock clock;
  Pulse pulse(clock);
  const auto job = MakeJob();
  WakeCount wakes;
  const uint64_t number = pulse.Add(job, [&wakes] {
    wakes.Add();
    return kNever;
  });
  wakes.WaitFor(1);
  AppendRow(*job);
  wakes.WaitFor(2);
  job->set_snapshot(std::make_shared<v1::TrainingJob>());
  pulse.Nudge();
  wakes.WaitFor(3);
  pulse.WakeAll();
  wakes.WaitFor(4);
  pulse.Remove(number);
  EXPECT_EQ(pulse.watcher_count(), 0);
}

TEST(Pulse, DoesNotWakeTheWatchersOfAnotherJob) {
  base::SystemClock clock;
  Pulse pulse(clock);
  const auto still = MakeJob();
  const auto moving = MakeJob();
  WakeCount still_wakes;
  WakeCount moving_wakes;
  const uint64_t first = pulse.Add(still, [&] {
    still_wakes.Add();
    return kNever;
  });
  const uint64_t second = pulse.Add(moving, [&] {
    moving_wakes.Add();
    return kNever;
  });
  still_wakes.WaitFor(1);
  moving_wakes.WaitFor(1);
  for (int k = 2; k < 10; ++k) {
    AppendRow(*moving);
    moving_wakes.WaitFor(k);
  }
  EXPECT_EQ(still_wakes.count(), 1);
  pulse.Remove(first);
  pulse.Remove(second);
}

TEST(Pulse, WakesEveryWatcherOfAJobThatMovedAlsoAfterOthersHaveLeft) {
  base::SystemClock clock;
  Pulse pulse(clock);
  const auto job = MakeJob();
  std::vector<WakeCount> wakes(3);
  std::vector<uint64_t> numbers;
  for (WakeCount& count : wakes) {
    numbers.push_back(pulse.Add(job, [&count] {
      count.Add();
      return kNever;
    }));
    count.WaitFor(1);  // each one's first wake, though the job was seen already
  }
  AppendRow(*job);
  for (WakeCount& count : wakes) {
    count.WaitFor(2);
  }
  pulse.Remove(numbers[0]);
  EXPECT_EQ(pulse.watcher_count(), 2);
  AppendRow(*job);
  wakes[1].WaitFor(3);
  wakes[2].WaitFor(3);
  EXPECT_EQ(wakes[0].count(), 2);
  pulse.Remove(numbers[1]);
  pulse.Remove(numbers[2]);
  EXPECT_EQ(pulse.watcher_count(), 0);
}

TEST(Pulse, WakesOneWatcherAtItsDeadlineAndLetsItsNeighbourSleep) {
  base::SystemClock clock;
  Pulse pulse(clock);
  const auto job = MakeJob();
  WakeCount sleeper;
  WakeCount heart;
  const uint64_t first = pulse.Add(job, [&] {
    sleeper.Add();
    return kNever;
  });
  const uint64_t second = pulse.Add(job, [&] {
    heart.Add();
    return clock.MonotonicSeconds() + 0.001;
  });
  heart.WaitFor(5);
  EXPECT_EQ(sleeper.count(), 1);
  pulse.WakeAll();
  sleeper.WaitFor(2);
  pulse.Remove(first);
  pulse.Remove(second);
}

TEST(Pulse, WakesAtADeadlineAlthoughNothingMoved) {
  base::SystemClock clock;
  Pulse pulse(clock);
  const auto job = MakeJob();
  WakeCount wakes;
  const uint64_t number = pulse.Add(job, [&] {
    wakes.Add();
    return clock.MonotonicSeconds() + 0.001;
  });
  wakes.WaitFor(5);
  pulse.Remove(number);
}

TEST(Pulse, NeverCallsARemovedWatcher) {
  base::SystemClock clock;
  Pulse pulse(clock);
  for (int round = 0; round < 200; ++round) {
    const auto job = MakeJob();
    auto alive = std::make_unique<std::atomic<bool>>(true);
    const uint64_t number = pulse.Add(job, [flag = alive.get()] {
      EXPECT_TRUE(flag->load());
      return 0.0;
    });
    AppendRow(*job);
    pulse.Remove(number);
    alive->store(false);
    alive.reset();
  }
}

}  // namespace
}  // namespace polyak::jobs
