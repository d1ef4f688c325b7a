#include "server/runner/checkpoint_schedule.h"

#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace polyak::runner {
namespace {

struct One {
  double time;      // training time
  double cost;      // seconds
  double forecast;  // before it
  double spent;     // before it
};

// A run that asks after each slice, for so many seconds of training, and makes what is due.
std::vector<One> Simulate(CheckpointSchedule& schedule, double start, double seconds, double slice,
                          const std::function<double()>& cost) {
  std::vector<One> made;
  for (double now = start; now < start + seconds; now += slice) {
    if (schedule.Due(now)) {
      made.push_back({now, cost(), schedule.forecast(), schedule.spent()});
      schedule.Made(now, made.back().cost);
    }
  }
  return made;
}

// Sums round: by less than this share of what they are compared with.
constexpr double kRounding = 1e-9;

TEST(CheckpointSchedule, CheapOnesAreASecondApart) {
  CheckpointSchedule schedule(0);
  const auto made = Simulate(schedule, 0, 100, 0.01, [] { return 0.002; });
  EXPECT_GE(made.size(), 98U);
  EXPECT_LE(made.size(), 100U);
  EXPECT_FALSE(schedule.Due(made.back().time + 0.99));
  EXPECT_TRUE(schedule.Due(made.back().time + 1));
}

TEST(CheckpointSchedule, DearOnesAreFiftyTimesTheirCostApart) {
  CheckpointSchedule schedule(0);
  const auto made = Simulate(schedule, 0, 1000, 0.02, [] { return 1.0; });
  ASSERT_EQ(made.size(),
            19U);  // one too early, since its cost was not known; then at 100, 150, ...
  EXPECT_NEAR(made[0].time, 1, 0.03);
  EXPECT_NEAR(made[1].time, 100, 0.03);
  EXPECT_NEAR(made[2].time, 150, 0.03);
}

TEST(CheckpointSchedule, AForecastOfTheFirstKeepsItFromComingTooEarly) {
  CheckpointSchedule schedule(0, {.first_cost = 1});
  const auto made = Simulate(schedule, 0, 1000, 0.02, [] { return 1.0; });
  EXPECT_NEAR(made[0].time, 50, 0.03);
}

TEST(CheckpointSchedule, CountsFromWhereTheRunWasTakenUpAgain) {
  // Not a credit of 2 % of ten hours.
  CheckpointSchedule schedule(36000);
  const auto made = Simulate(schedule, 36000, 200, 0.02, [] { return 1.0; });
  ASSERT_EQ(made.size(), 3U);
  EXPECT_NEAR(made[1].time, 36100, 0.03);
}

TEST(CheckpointSchedule, OneDearOneIsForgottenAfterSomeCheapOnes) {
  CheckpointSchedule schedule(0);
  int number = 0;
  const auto made = Simulate(schedule, 0, 3000, 0.05, [&] { return number++ == 0 ? 5.0 : 0.001; });
  // 5 s are paid back after 250 s, and their forecast after 250 s more; then one comes each second.
  EXPECT_NEAR(made[1].time, 500, 0.2);
  EXPECT_NEAR(made.back().time - made[made.size() - 2].time, 1, 0.06);
  EXPECT_GT(made.size(), 2000U);
}

TEST(CheckpointSchedule, ChecksThatWereNotAskedForCountToo) {
  CheckpointSchedule schedule(0);
  schedule.Made(10, 1);  // a drain that came to nothing
  EXPECT_FALSE(schedule.Due(99));
  EXPECT_TRUE(schedule.Due(100));
}

// Costs as disks have them: even, spread over orders of magnitude, drifting, with rare stalls.
std::function<double()> Costs(int kind, std::mt19937_64& random) {
  const auto uniform = [&random] { return std::uniform_real_distribution<double>()(random); };
  switch (kind) {
    case 0:
      return [=] { return 0.001 + 0.2 * uniform(); };
    case 1:
      return [=] { return std::exp(std::log(1e-4) + uniform() * std::log(1e5)); };
    case 2:
      return [=, cost = 0.01]() mutable { return cost *= 0.8 + 0.5 * uniform(); };
    default:
      return [=] { return uniform() < 0.02 ? 20 * uniform() : 0.003; };
  }
}

TEST(CheckpointSchedule, KeepsItsShareWhateverTheyCost) {
  EXPECT_TRUE(rc::check("2 % of the training time, one second apart", [] {
    std::mt19937_64 random(*rc::gen::arbitrary<uint64_t>());
    const double start = *rc::gen::inRange(0, 100000);
    const double slice = 0.001 * *rc::gen::inRange(1, 300);
    const auto costs = Costs(*rc::gen::inRange(0, 4), random);
    CheckpointSchedule schedule(start);
    const auto made = Simulate(schedule, start, 600, slice, costs);
    double last = start;
    for (const One& one : made) {
      const double allowed = 0.02 * (one.time - start) * (1 + kRounding);
      // Those before it, always; with it, as far as its cost was foreseen; never more than its own
      // excess over the forecast.
      RC_ASSERT(one.spent <= allowed);
      RC_ASSERT(one.spent + one.forecast <= allowed);
      RC_ASSERT(one.spent + one.cost <= allowed + std::max(0.0, one.cost - one.forecast));
      RC_ASSERT(one.time - last >= 1 - 1e-9);
      last = one.time;
    }
  }));
}

TEST(CheckpointSchedule, KeepsItsShareAtEveryMomentWhereCostsAreForeseen) {
  EXPECT_TRUE(rc::check("2 % with no excess", [] {
    std::mt19937_64 random(*rc::gen::arbitrary<uint64_t>());
    std::uniform_real_distribution<double> uniform;
    CheckpointSchedule schedule(0, {.first_cost = 0.5});
    double spent = 0;
    for (double now = 0; now < 600; now += 0.01) {
      if (schedule.Due(now)) {
        // Never above the forecast, which is not below 0.45 then.
        const double cost = schedule.forecast() * uniform(random);
        schedule.Made(now, cost);
        spent += cost;
      }
      RC_ASSERT(spent <= 0.02 * now * (1 + kRounding));
    }
  }));
}

}  // namespace
}  // namespace polyak::runner
