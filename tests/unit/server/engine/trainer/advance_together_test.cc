// Trainers in step with each other: every record and every saved state has the bits of a run alone.

#include "server/engine/trainer/advance_together.h"

#include <bit>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "server/base/check.h"
#include "server/engine/plans/dense.h"
#include "server/engine/plans/plan.h"
#include "tests/support/problems.h"
#include "tests/support/run.h"
#include "tests/support/saved_state.h"
#include "tests/unit/server/engine/trainer/scripted_run.h"

namespace polyak::engine {
namespace {

using testing_support::LoadState;
using testing_support::Make;
using testing_support::RowRecorder;
using testing_support::StateOf;

struct Member {
  ProblemInstance problem;
  OptimizerSpec optimizer;
  StoppingRule stopping;
  int64_t cancelled_at = -1;  // told to stop when it has so many records
};

// One run of a member, by itself or among others.
class OneRun {
 public:
  explicit OneRun(const Member& member) : member_(member) {
    auto theory = Resolve(member.problem, member.optimizer, Tuning::kTheorem);
    POLYAK_CHECK(theory.ok());
    theory_ = *std::move(theory);
    Restart();
  }
  // Another trainer of the same run, at its start.
  void Restart() {
    const Experiment experiment = {member_.problem, theory_.optimizer};
    trainer_ = std::make_unique<Trainer>(experiment, theory_, member_.stopping,
                                         MakeDenseStepper(experiment).value(), rows_, stop_);
  }
  // As many of `records` as there may be before the token is set.
  int64_t Allowed(int64_t records) {
    const int64_t done = trainer_->progress().iteration + 1;
    if (member_.cancelled_at >= 0 && done >= member_.cancelled_at) {
      stop_.RequestStop();
    }
    return member_.cancelled_at > done ? std::min(records, member_.cancelled_at - done) : records;
  }
  Trainer& trainer() { return *trainer_; }
  bool running() const { return trainer_->progress().running(); }
  const RowRecorder& rows() const { return rows_; }

 private:
  const Member member_;
  TheoryResolution theory_;
  RowRecorder rows_;
  base::StopToken stop_;
  std::unique_ptr<Trainer> trainer_;
};

std::vector<uint64_t> Bits(const RowRecorder& rows) {
  std::vector<uint64_t> bits;
  for (size_t t = 0; t < rows.loss.size(); ++t) {
    bits.push_back(std::bit_cast<uint64_t>(rows.loss[t]));
    bits.push_back(std::bit_cast<uint64_t>(rows.residual_norm[t]));
    bits.push_back(std::bit_cast<uint64_t>(rows.rate_estimate[t]));
  }
  return bits;
}

class Draws {
 public:
  explicit Draws(uint64_t seed) : generator_(seed) {}
  int64_t Below(int64_t bound) {
    return static_cast<int64_t>(generator_() % static_cast<uint64_t>(bound));
  }
  double Unit() { return static_cast<double>(generator_() >> 11U) * 0x1p-53; }

 private:
  std::mt19937_64 generator_;
};

// Of one matrix, mostly: any method, some of them diverging, all kinds of ends.
Member AnyMember(Draws& draws, const std::vector<ProblemInstance>& problems) {
  Member member;
  member.problem = problems[static_cast<size_t>(
      draws.Below(10) < 8 ? 0 : draws.Below(static_cast<int64_t>(problems.size())))];
  const double step_size = 0.05 + 2.2 * draws.Unit();  // the largest eigenvalue is 1
  const double momentum = 0.95 * draws.Unit();
  switch (draws.Below(3)) {
    case 0:
      member.optimizer = GradientDescentSpec{step_size};
      break;
    case 1:
      member.optimizer = PolyakMomentumSpec{step_size, momentum};
      break;
    default:
      member.optimizer = NesterovMomentumSpec{step_size, momentum};
      break;
  }
  member.stopping.max_iterations = draws.Below(120);
  if (draws.Below(2) == 0) {
    member.stopping.relative_loss = 1e-3;
  }
  if (draws.Below(4) == 0) {
    member.cancelled_at = 1 + draws.Below(100);
  }
  return member;
}

TEST(AdvanceTogether, GivesEveryMemberTheBitsOfARunAlone) {
  Draws draws(20260801);
  for (int round = 0; round < 40; ++round) {
    const Eigen::Index size = 1 + draws.Below(40);
    const QuadraticSpec spec =
        testing_support::Rotated(testing_support::LogUniform(size, size == 1 ? 1 : 20), round);
    const QuadraticSpec other = testing_support::Rotated(Vector::Ones(3), round);
    const auto first = std::get<std::shared_ptr<const QuadraticInstance>>(Make(spec));
    const std::vector<ProblemInstance> problems = {
        first,
        // The same matrix object and another start, an equal matrix, another one, and a diagonal.
        MakeQuadraticInstance(spec, Seed{7}, {{first}}).value(), Make(spec, 8), Make(other),
        Make(testing_support::Diagonal(testing_support::LogUniform(5, 10)))};
    std::vector<Member> members;
    const int64_t count = 1 + draws.Below(20);
    for (int64_t k = 0; k < count; ++k) {
      members.push_back(AnyMember(draws, problems));
    }
    std::vector<std::unique_ptr<OneRun>> together;
    for (const Member& member : members) {
      together.push_back(std::make_unique<OneRun>(member));
    }
    bool running = true;
    while (running) {
      running = false;
      std::vector<TrainerShare> shares;
      for (const auto& run : together) {
        if (run->running() && draws.Below(8) == 0) {  // saved, and gone on with by another one
          const std::string state = StateOf(run->trainer());
          run->Restart();
          ASSERT_TRUE(LoadState(run->trainer(), state).ok());
        }
        if (draws.Below(5) > 0) {  // else it leaves the group for a slice
          shares.push_back({&run->trainer(), run->Allowed(draws.Below(30))});
        }
      }
      AdvanceTogether(shares);
      for (const auto& run : together) {
        running = running || run->running();
      }
    }
    for (size_t k = 0; k < members.size(); ++k) {
      OneRun alone(members[k]);
      while (alone.running()) {
        alone.trainer().Advance(alone.Allowed(1000));
      }
      ASSERT_EQ(Bits(together[k]->rows()), Bits(alone.rows())) << "round " << round << ", " << k;
      ASSERT_EQ(StateOf(together[k]->trainer()), StateOf(alone.trainer()));
      ASSERT_EQ(together[k]->trainer().progress().reason, alone.trainer().progress().reason);
    }
  }
}

// A stepper whose memory ends.
class HungryStepper : public ScriptedStepper {
 public:
  HungryStepper(Calls& calls, int64_t steps, bool in_observe)
      : ScriptedStepper(Residuals({9, 8, 7, 6, 5, 4}), calls),
        calls_(calls),
        steps_(steps),
        in_observe_(in_observe) {}
  Observation Observe() override {
    if (in_observe_ && calls_.stepped == steps_) {
      throw std::bad_alloc();
    }
    return ScriptedStepper::Observe();
  }
  void Step() override {
    if (!in_observe_ && calls_.stepped == steps_) {
      throw std::bad_alloc();
    }
    ScriptedStepper::Step();
  }

 private:
  const Calls& calls_;
  const int64_t steps_;
  const bool in_observe_;
};

TEST(AdvanceTogether, OneThatRunsOutOfMemoryEndsAloneInAStepAndInAnObservation) {
  for (const bool in_observe : {false, true}) {
    ScriptedRun first(Residuals({4, 3, 2, 1}), AtMost(3));
    ScriptedRun last(Residuals({8, 7, 6, 5, 4}), AtMost(4));
    ScriptedStepper::Calls calls;
    RowRecorder rows;
    base::StopToken stop;
    const Experiment experiment = {Make(testing_support::Diagonal(Vector::Ones(2))),
                                   GradientDescentSpec{1.0}};
    Trainer hungry(experiment, {}, AtMost(5), std::make_unique<HungryStepper>(calls, 2, in_observe),
                   rows, stop);
    std::vector<TrainerShare> shares = {{&first.trainer, 10}, {&hungry, 10}, {&last.trainer, 10}};
    AdvanceTogether(shares);
    EXPECT_EQ(shares[0].failure, nullptr);
    EXPECT_THROW(std::rethrow_exception(shares[1].failure), std::bad_alloc);
    EXPECT_EQ(shares[2].failure, nullptr);
    EXPECT_EQ(first.rows.residual_norm, (std::vector<double>{4, 3, 2, 1}));
    EXPECT_EQ(last.rows.residual_norm, (std::vector<double>{8, 7, 6, 5, 4}));
    EXPECT_EQ(rows.residual_norm,
              in_observe ? (std::vector<double>{9, 8}) : (std::vector<double>{9, 8, 7}));
  }
}

// Plans without a product to share: reduced ones, and scripted steppers here.
TEST(AdvanceTogether, TakesMembersThatShareNothing) {
  ScriptedRun first(Residuals({4, 3, 2, 1}), AtMost(3));
  ScriptedRun second(Residuals({8, 7, 6, 5, 4}), AtMost(4));
  std::vector<TrainerShare> shares = {{&first.trainer, 10}, {&second.trainer, 2}};
  AdvanceTogether(shares);
  EXPECT_EQ(first.rows.residual_norm, (std::vector<double>{4, 3, 2, 1}));
  EXPECT_EQ(second.rows.residual_norm, (std::vector<double>{8, 7}));
  EXPECT_EQ(first.trainer.progress().reason, StopReason::kMaxIterations);
  EXPECT_TRUE(second.trainer.progress().running());
  EXPECT_EQ(first.calls.stepped, 3);
}

TEST(AdvanceTogether, DoesNothingForNobodyAndForThoseThatHaveEnded) {
  AdvanceTogether({});
  ScriptedRun first(Residuals({4, 3}), AtMost(1));
  ScriptedRun second(Residuals({4, 3}), AtMost(1));
  std::vector<TrainerShare> shares = {{&first.trainer, 10}, {&second.trainer, 10}};
  AdvanceTogether(shares);
  AdvanceTogether(shares);
  EXPECT_EQ(first.rows.loss.size(), 2U);
  EXPECT_EQ(second.rows.loss.size(), 2U);
}

}  // namespace
}  // namespace polyak::engine
