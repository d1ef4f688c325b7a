// What every plan promises of a run that was saved and loaded, between any two calls of Advance and
// any number of times: the rows and the summary of a run that was never interrupted, to the bit.
// And of bytes that were damaged: they are refused, or give some run, and nothing worse.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/conformance/samples.h"
#include "tests/support/saved_state.h"

namespace polyak::conformance {
namespace {

using namespace engine;  // NOLINT(google-build-using-namespace): the whole file is about it
using ::polyak::testing_support::Damaged;
using ::polyak::testing_support::LoadState;
using ::polyak::testing_support::RowRecorder;
using ::polyak::testing_support::StateOf;

using Bits = std::vector<uint64_t>;

void Append(Bits& bits, double value) { bits.push_back(std::bit_cast<uint64_t>(value)); }

void Append(Bits& bits, const RateEstimate& estimate) {
  Append(bits, estimate.rate);
  Append(bits, estimate.standard_error);
  bits.push_back(static_cast<uint64_t>(estimate.first_iteration));
  bits.push_back(static_cast<uint64_t>(estimate.last_iteration));
  bits.push_back(std::hash<std::string_view>()(estimate.method));
}

Bits BitsOf(const RowRecorder& rows) {
  Bits bits;
  for (size_t t = 0; t < rows.loss.size(); ++t) {
    Append(bits, rows.loss[t]);
    Append(bits, rows.residual_norm[t]);
    Append(bits, rows.rate_estimate[t]);
  }
  return bits;
}

Bits BitsOf(const RunSummary& summary) {
  Bits bits = {static_cast<uint64_t>(summary.iterations),
               static_cast<uint64_t>(summary.peak_iteration)};
  for (const double value :
       {summary.initial_loss, summary.final_loss, summary.initial_residual_norm,
        summary.final_residual_norm, summary.peak_ratio, summary.flipped_share}) {
    Append(bits, value);
  }
  for (const RateEstimate& estimate : {summary.windowed, summary.overall, summary.quotient}) {
    Append(bits, estimate);
  }
  const Certificate& certificate = summary.certificate;
  bits.push_back(static_cast<uint64_t>(certificate.verdict));
  bits.push_back(certificate.bound_held ? 1 : 0);
  Append(bits, certificate.least_slack.value_or(-1));
  bits.push_back(static_cast<uint64_t>(certificate.least_slack_iteration.value_or(-1)));
  Append(bits, certificate.last_slack.value_or(-1));
  bits.push_back(static_cast<uint64_t>(certificate.first_violation.value_or(-1)));
  bits.push_back(static_cast<uint64_t>(certificate.iterations_checked));
  bits.push_back(certificate.assumptions.size());
  return bits;
}

// A run, and how a trainer for it is made: anew from its spec each time, as a server that was
// started again would.
struct Case {
  ProblemSpec spec;
  OptimizerSpec optimizer;
  Seed seed;
  StoppingRule stopping;
  size_t plan = 0;  // in the registry
};

class Process {  // what a server has in memory of one run
 public:
  Process(const Case& run, RowRecorder& rows)
      : prepared_(Prepare(run.spec, run.optimizer, run.seed)),
        trainer_(prepared_.experiment, prepared_.theory, run.stopping,
                 *Plans()[run.plan].make(prepared_.experiment, {}), rows, stop_) {}
  Trainer& trainer() { return trainer_; }

 private:
  base::StopToken stop_;
  Prepared prepared_;
  Trainer trainer_;
};

struct Whole {
  Bits rows;
  Bits summary;
  int64_t records = 0;
};

Whole RunWhole(const Case& run) {
  RowRecorder rows;
  Process process(run, rows);
  while (process.trainer().Advance(1000).running()) {
  }
  return {BitsOf(rows), BitsOf(process.trainer().summary()),
          static_cast<int64_t>(rows.loss.size())};
}

// Runs to the end, saved, forgotten and loaded after each of these numbers of records; then ended
// runs once more. `rows` are those of all processes, one after another.
void ExpectTheSame(const Case& run, const Whole& whole, const std::vector<int64_t>& cuts) {
  RowRecorder rows;
  auto process = std::make_unique<Process>(run, rows);
  int64_t records = 0;
  for (const int64_t cut : cuts) {
    process->trainer().Advance(cut - records);
    records = cut;
    const std::string state = StateOf(process->trainer());
    process = std::make_unique<Process>(run, rows);
    const absl::Status status = LoadState(process->trainer(), state);
    ASSERT_TRUE(status.ok()) << status << ", cut at " << cut;
    ASSERT_EQ(StateOf(process->trainer()), state) << "cut at " << cut;
  }
  while (process->trainer().Advance(1000).running()) {
  }
  EXPECT_EQ(BitsOf(rows), whole.rows);
  EXPECT_EQ(BitsOf(process->trainer().summary()), whole.summary);
}

std::vector<int64_t> RandomCuts(int64_t records, std::mt19937_64& random) {
  std::set<int64_t> cuts;
  const int64_t count = 1 + static_cast<int64_t>(random() % 6);
  for (int64_t k = 0; k < count; ++k) {
    cuts.insert(static_cast<int64_t>(random() % static_cast<uint64_t>(records + 1)));
  }
  return {cuts.begin(), cuts.end()};
}

// A problem of a random size and seed, by a random kind of each.
ProblemSpec RandomProblem(std::mt19937_64& random) {
  const auto from = [&](int64_t least, int64_t most) {
    return least + static_cast<int64_t>(random() % static_cast<uint64_t>(most - least + 1));
  };
  SyntheticDataSpec data;
  data.examples = from(2, 20);
  data.input_dimension = from(1, 9);
  DatasetSpec dataset;
  switch (from(0, 3)) {
    case 0: {
      QuadraticSpec spec;
      spec.hessian = GeneratedSpectrumSpec{from(1, 40), static_cast<double>(from(2, 1000)), 3,
                                           static_cast<SpectrumShape>(from(0, 3))};
      return spec;
    }
    case 1: {
      dataset.source = data;
      QuadraticSpec spec;
      spec.hessian = LeastSquaresSpec{dataset, 0.05};
      return spec;
    }
    case 2: {
      data.kind = SyntheticKind::kUnitSphere;
      data.examples = from(2, 7);
      data.input_dimension = from(4, 9);
      dataset.source = data;
      ReluNetworkSpec spec;
      spec.dataset = dataset;
      spec.width = from(200, 700);
      return spec;
    }
    default: {
      data.output_dimension = from(1, 3);
      dataset.source = data;
      DeepLinearNetworkSpec spec;
      spec.dataset = dataset;
      spec.width = from(12, 60);
      spec.depth = static_cast<int>(from(2, 5));
      return spec;
    }
  }
}

// Every plan that can run it.
std::vector<Case> OverPlans(Case run) {
  std::vector<Case> cases;
  const Prepared prepared = Prepare(run.spec, run.optimizer, run.seed);
  for (size_t plan = 0; plan < Plans().size(); ++plan) {
    if (Plans()[plan].eligible(prepared.experiment).eligible) {
      run.plan = plan;
      cases.push_back(run);
    }
  }
  return cases;
}

StoppingRule Iterations(int64_t iterations) {
  StoppingRule stopping;
  stopping.max_iterations = iterations;
  return stopping;
}

class Resume : public ::testing::TestWithParam<Sample> {
 protected:
  // Calls test(case, whole) for each method and plan.
  template <typename Test>
  void ForEach(const StoppingRule& stopping, const Test& test) {
    for (const OptimizerSpec& optimizer : Optimizers()) {
      for (const Case& run : OverPlans({GetParam().spec, optimizer, Seed{5}, stopping})) {
        SCOPED_TRACE(std::string(Plans()[run.plan].name) + ", optimizer " +
                     std::to_string(optimizer.index()));
        test(run, RunWhole(run));
      }
    }
  }
};

TEST_P(Resume, GivesTheSameBitsFromACutAnywhere) {
  ForEach(Iterations(40), [](const Case& run, const Whole& whole) {
    for (int64_t cut = 0; cut <= whole.records; ++cut) {
      ExpectTheSame(run, whole, {cut});
    }
  });
}

TEST_P(Resume, GivesTheSameBitsWhenCutAfterEveryRecord) {
  ForEach(Iterations(60), [](const Case& run, const Whole& whole) {
    std::vector<int64_t> cuts;
    for (int64_t cut = 0; cut <= whole.records; ++cut) {
      cuts.push_back(cut);
    }
    ExpectTheSame(run, whole, cuts);
  });
}

TEST_P(Resume, GivesTheSameBitsOfALongRunBeforeAndAfterItsEnd) {
  // Long enough for the bins of the rate to have been merged, and to the tolerance where it is met.
  StoppingRule stopping = Iterations(1500);
  stopping.relative_loss = 1e-18;
  ForEach(stopping, [](const Case& run, const Whole& whole) {
    ExpectTheSame(run, whole, {1});
    ExpectTheSame(run, whole, {whole.records / 2, whole.records - 1});
    ExpectTheSame(run, whole, {whole.records, whole.records});
  });
}

TEST_P(Resume, GivesTheSameBitsOfARunThatDiverges) {
  for (OptimizerSpec optimizer : Optimizers()) {
    std::visit([](auto& method) { method.step_size = 1e3; }, optimizer);
    if (auto* polyak = std::get_if<PolyakMomentumSpec>(&optimizer)) {
      polyak->momentum = 0.9;
    } else if (auto* nesterov = std::get_if<NesterovMomentumSpec>(&optimizer)) {
      nesterov->momentum = 0.9;
    }
    for (const Case& run : OverPlans({GetParam().spec, optimizer, Seed{5}, Iterations(100)})) {
      const Whole whole = RunWhole(run);
      ASSERT_LT(whole.records, 100);
      for (int64_t cut = 0; cut <= whole.records; ++cut) {
        ExpectTheSame(run, whole, {cut});
      }
    }
  }
}

TEST_P(Resume, RefusesDamagedBytesOrGivesSomeRun) {
  std::mt19937_64 random(7 + std::hash<std::string>()(GetParam().name) % 1000);
  ForEach(Iterations(60), [&](const Case& run, const Whole& /*whole*/) {
    RowRecorder rows;
    Process saved(run, rows);
    saved.trainer().Advance(31);
    const std::string state = StateOf(saved.trainer());
    int refused = 0;
    constexpr int kTries = 300;
    for (int k = 0; k < kTries; ++k) {
      const std::string damaged = Damaged(state, random);
      Process process(run, rows);
      const absl::Status status = LoadState(process.trainer(), damaged);
      EXPECT_TRUE(status.ok() || absl::IsDataLoss(status)) << status;
      if (status.ok()) {
        process.trainer().Advance(40);
        process.trainer().summary();
      } else {
        ++refused;
      }
    }
    // Short and long ones at the least, which are a third of them.
    EXPECT_GT(refused, kTries / 4);
  });
}

INSTANTIATE_TEST_SUITE_P(Samples, Resume, ::testing::ValuesIn(Samples()),
                         [](const auto& info) { return info.param.name; });

TEST(Resume, GivesTheSameBitsOfRandomSpecsCutAtRandom) {
  std::mt19937_64 random(20240612);
  int ran = 0;
  for (int k = 0; k < 150; ++k) {
    const ProblemSpec spec = RandomProblem(random);
    const OptimizerSpec optimizer = Optimizers()[random() % Optimizers().size()];
    const Seed seed{static_cast<int64_t>(random() % 1000)};
    StoppingRule stopping = Iterations(1 + static_cast<int64_t>(random() % 700));
    if (random() % 2 == 0) {
      stopping.relative_loss = 1e-6;
    }
    const auto instance = Instantiate(spec, seed);
    if (!instance.ok() || !Resolve(*instance, optimizer, Tuning::kTheorem).ok()) {
      continue;  // theory can't choose for a singular one
    }
    for (const Case& run : OverPlans({spec, optimizer, seed, stopping})) {
      SCOPED_TRACE("spec " + std::to_string(k) + ", problem " + std::to_string(spec.index()));
      const Whole whole = RunWhole(run);
      ++ran;
      for (int tries = 0; tries < 4; ++tries) {
        ExpectTheSame(run, whole, RandomCuts(whole.records, random));
      }
    }
  }
  EXPECT_GE(ran, 100);
}

}  // namespace
}  // namespace polyak::conformance
