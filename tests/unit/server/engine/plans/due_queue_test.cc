#include "server/engine/plans/due_queue.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <vector>

#include "gtest/gtest.h"
#include "server/engine/random/random_stream.h"

namespace polyak::engine {
namespace {

std::vector<uint32_t> RowsTaken(DueQueue& queue, double reading, double gain) {
  std::vector<WatchedActivation> due;
  queue.TakeDue(reading, gain, due);
  std::vector<uint32_t> rows;
  for (const WatchedActivation& activation : due) {
    rows.push_back(activation.row);
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

WatchedActivation At(double due, uint32_t row) { return {due, due, row, 1, false}; }

TEST(DueQueue, GivesWhatIsDueOnceAndNothingElse) {
  DueQueue queue;
  queue.Add(At(0.5, 1));
  queue.Add(At(0, 2));
  queue.Add(At(2, 3));
  EXPECT_EQ(RowsTaken(queue, 0, 1), std::vector<uint32_t>{2});
  EXPECT_TRUE(RowsTaken(queue, 0.25, 1).empty());
  EXPECT_EQ(RowsTaken(queue, 0.5, 1), std::vector<uint32_t>{1});
  EXPECT_EQ(RowsTaken(queue, 100, 1), std::vector<uint32_t>{3});
  EXPECT_TRUE(RowsTaken(queue, 1000, 1).empty());
}

TEST(DueQueue, IsAsAListThatIsLookedThroughWholly) {
  // Odometers that stand, creep, run and slow down, and activations that come back.
  const RandomStream random(Seed{7}, DrawPurpose::kTargets);
  uint64_t position = 0;
  DueQueue queue;
  std::map<uint32_t, double> all;
  for (uint32_t row = 0; row < 2000; ++row) {
    const double due = 10 * random.Uniform(position++);
    queue.Add(At(due, row));
    all[row] = due;
  }
  double reading = 0;
  int64_t taken = 0;
  for (int t = 0; t < 400; ++t) {
    const double gain = t % 50 == 0 ? 0 : 0.05 * random.Uniform(position++);
    reading += gain;
    std::vector<uint32_t> expected;
    for (const auto& [row, due] : all) {
      if (due <= reading) {
        expected.push_back(row);
      }
    }
    ASSERT_EQ(RowsTaken(queue, reading, gain), expected) << t;
    taken += static_cast<int64_t>(expected.size());
    for (const uint32_t row : expected) {
      all[row] = reading + 3 * random.Uniform(position++);
      queue.Add(At(all[row], row));
    }
    if (t == 200) {
      EXPECT_EQ(queue.Unordered().size(), all.size());
    }
  }
  EXPECT_GT(taken, 4000);
  size_t visited = 0;
  queue.ForEach([&](const WatchedActivation& activation) {
    ++visited;
    EXPECT_EQ(activation.due, all.at(activation.row));
  });
  EXPECT_EQ(visited, all.size());
}

TEST(DueQueue, TakesNothingForAReadingThatIsNoNumber) {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  DueQueue queue;
  queue.Add(At(1, 1));
  queue.Add(At(2, 2));
  EXPECT_TRUE(RowsTaken(queue, 0.5, kNaN).empty());
  EXPECT_TRUE(RowsTaken(queue, kNaN, 1).empty());
  EXPECT_EQ(RowsTaken(queue, 1, 0.1), std::vector<uint32_t>{1});
  EXPECT_TRUE(RowsTaken(queue, 1.5, kInfinity).empty());
  EXPECT_EQ(RowsTaken(queue, kInfinity, kInfinity), std::vector<uint32_t>{2});
}

}  // namespace
}  // namespace polyak::engine
