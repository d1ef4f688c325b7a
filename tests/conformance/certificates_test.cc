// Certificates of real runs: no false VIOLATED from kappa 1 to 1e8, true violations found, and
// NOT_APPLICABLE with its reasons where no theorem is at hand (docs/theory.md, section 4).

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/engine/data/built_in.h"
#include "tests/support/problems.h"
#include "tests/support/run.h"

namespace polyak {
namespace {

using namespace engine;  // NOLINT: the whole file is about it
using ::polyak::testing_support::DeepLinearNetwork;
using ::polyak::testing_support::Diagonal;
using ::polyak::testing_support::FinishedRun;
using ::polyak::testing_support::LogUniform;
using ::polyak::testing_support::Make;
using ::polyak::testing_support::NormalEntries;
using ::polyak::testing_support::NormalVector;
using ::polyak::testing_support::ReluNetwork;
using ::polyak::testing_support::Rotated;
using ::polyak::testing_support::RunToEnd;
using ::polyak::testing_support::Share;
using ::polyak::testing_support::UnitRows;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

StoppingRule Iterations(double count) {
  StoppingRule stopping;
  stopping.max_iterations = static_cast<int64_t>(count);
  return stopping;
}

std::vector<std::string> Unmet(const Certificate& certificate) {
  std::vector<std::string> names;
  for (const Assumption& assumption : certificate.assumptions) {
    if (assumption.status == Assumption::Status::kUnmet) {
      names.push_back(assumption.name);
    }
  }
  return names;
}

struct Case {
  double kappa;
  bool dense;
  bool linear_term;
};

std::string NameOf(const Case& test) {
  return "kappa " + std::to_string(test.kappa) + (test.dense ? " dense" : " diagonal") +
         (test.linear_term ? " with b" : " without b");
}

QuadraticSpec Problem(const Case& test, int64_t seed) {
  const Vector eigenvalues = LogUniform(8, test.kappa, 49);
  QuadraticSpec spec = test.dense ? Rotated(eigenvalues, seed) : Diagonal(eigenvalues);
  if (test.linear_term) {
    spec.linear_term = Share(NormalVector(seed + 100, 8));
  }
  return spec;
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const double kappa : {1.0, 2.0, 10.0, 1e2, 1e4, 1e6, 1e8}) {
    for (const bool dense : {false, true}) {
      for (const bool linear_term : {false, true}) {
        cases.push_back({kappa, dense, linear_term});
      }
    }
  }
  return cases;
}

void ExpectNoAlarm(const FinishedRun& run, const std::string& name) {
  const Certificate& certificate = run.summary.certificate;
  EXPECT_THAT(Unmet(certificate), IsEmpty()) << name;
  EXPECT_NE(certificate.verdict, Verdict::kViolated)
      << name << ": at " << certificate.first_violation.value_or(-1) << ", least slack "
      << certificate.least_slack.value_or(-1);
  if (certificate.iterations_checked > 0) {
    EXPECT_EQ(certificate.verdict, Verdict::kPass) << name;
    EXPECT_TRUE(certificate.bound_held) << name;
    EXPECT_GE(certificate.least_slack.value(), 1) << name;
    EXPECT_GE(certificate.least_slack_iteration.value(), 1) << name;
  }
}

// Far enough for every run to come to its floor, and on: where rounding rules, the check must have
// ended. 60 sqrt kappa iterations of momentum are e^-30.
double LongEnough(double kappa) { return std::min(60 * std::sqrt(kappa) + 200, 3e5); }

TEST(Certificates, OfMomentumAtTheTheoremsParametersNeverCryWolf) {
  for (const Case& test : Cases()) {
    const FinishedRun run = RunToEnd(Problem(test, 1), PolyakMomentumSpec{},
                                     Iterations(LongEnough(test.kappa)), Tuning::kTheorem, Seed{1});
    EXPECT_EQ(run.theory.bound.theorem, "T7");
    ExpectNoAlarm(run, NameOf(test));
    EXPECT_GT(run.summary.certificate.iterations_checked, 5) << NameOf(test);
  }
}

TEST(Certificates, OfMomentumAtOtherValidParametersNeverCryWolf) {
  for (const Case& test : Cases()) {
    // Between 1 and 1 - 1 / (2 sqrt kappa), and a step size under 1 / alpha.
    const double root = std::sqrt(test.kappa);
    const PolyakMomentumSpec optimizer = {0.7 / 49, std::pow(1 - 1 / (4 * root), 2)};
    const FinishedRun run = RunToEnd(Problem(test, 2), optimizer,
                                     Iterations(LongEnough(test.kappa)), Tuning::kTheorem, Seed{2});
    EXPECT_EQ(run.theory.bound.theorem, "T6");
    ExpectNoAlarm(run, NameOf(test));
    EXPECT_GT(run.summary.certificate.iterations_checked, 5) << NameOf(test);
  }
}

TEST(Certificates, OfGradientDescentNeverCryWolf) {
  for (const Case& test : Cases()) {
    for (const GradientDescentSpec& optimizer :
         {GradientDescentSpec{}, GradientDescentSpec{0.3 / 49}, GradientDescentSpec{1.9 / 49}}) {
      const FinishedRun run =
          RunToEnd(Problem(test, 3), optimizer, Iterations(std::min(40 * test.kappa + 200, 1e5)),
                   Tuning::kTheorem, Seed{3});
      EXPECT_EQ(run.theory.bound.theorem, "T10");
      ExpectNoAlarm(run, NameOf(test));
    }
    const FinishedRun asymptotic =
        RunToEnd(Problem(test, 3), GradientDescentSpec{},
                 Iterations(std::min(40 * test.kappa + 200, 1e5)), Tuning::kAsymptotic, Seed{3});
    ExpectNoAlarm(asymptotic, NameOf(test) + " asymptotic");
  }
}

// At kappa = 1 theory's rate is the rounding of 1 - alpha / alpha, and one step rounds by more.
TEST(Certificates, OfOneStepRunsNeverCryWolf) {
  const Vector starts = NormalVector(9, 200);
  for (int k = 0; k < 200; ++k) {
    const double largest = 100 * std::abs(starts(k)) + 0.01;
    const FinishedRun run = RunToEnd(Diagonal(Vector::Constant(5, largest)), GradientDescentSpec{},
                                     Iterations(20), Tuning::kTheorem, Seed{k});
    EXPECT_NE(run.summary.certificate.verdict, Verdict::kViolated) << largest;
  }
}

TEST(Certificates, EndTheirCheckAtTheFloorForGood) {
  const Case test = {1e4, true, true};
  const FinishedRun run = RunToEnd(Problem(test, 1), PolyakMomentumSpec{}, Iterations(20000),
                                   Tuning::kTheorem, Seed{1});
  const Certificate& certificate = run.summary.certificate;
  const ProblemInstance problem = Make(Problem(test, 1), 1);
  const double start = run.summary.initial_residual_norm;
  const double floor = RoundingFloor(problem, start);
  EXPECT_GT(BoundAt(run.theory.bound, start, certificate.iterations_checked), floor);
  EXPECT_LE(BoundAt(run.theory.bound, start, certificate.iterations_checked + 1), floor);
  // Later the bound is broken by rounding alone, which is nobody's fault.
  EXPECT_GT(run.summary.final_residual_norm,
            BoundAt(run.theory.bound, start, run.summary.iterations));
  EXPECT_EQ(certificate.verdict, Verdict::kPass);
}

// A run under a bound that was not made for it: the same steps, judged by a smaller rate.
FinishedRun RunUnder(const ProblemSpec& spec, const OptimizerSpec& optimizer,
                     const BoundSpec& bound, int64_t iterations) {
  const ProblemInstance problem = Make(spec, 1);
  FinishedRun run;
  run.theory = *Resolve(problem, optimizer, Tuning::kTheorem);
  run.theory.bound = bound;
  const Experiment experiment = {problem, run.theory.optimizer};
  base::StopToken stop;
  Trainer trainer(
      experiment, run.theory, Iterations(static_cast<double>(iterations)),
      *ChoosePlan({ExecutionPlan::kDense}, spec, experiment)->entry->make(experiment, {}), run.rows,
      stop);
  run.progress = trainer.Advance(iterations + 1);
  run.summary = trainer.summary();
  return run;
}

TEST(Certificates, ReportAPlantedViolationAtItsFirstIteration) {
  const QuadraticSpec spec = Diagonal(LogUniform(8, 100));
  BoundSpec wrong;
  wrong.constant = 4 * std::sqrt(100.0);
  wrong.rate = 0.94;  // (T7) has 0.95
  const FinishedRun run = RunUnder(spec, PolyakMomentumSpec{}, wrong, 1000);
  const Certificate& certificate = run.summary.certificate;
  EXPECT_THAT(Unmet(certificate), IsEmpty());
  EXPECT_EQ(certificate.verdict, Verdict::kViolated);
  EXPECT_FALSE(certificate.bound_held);
  EXPECT_LT(certificate.least_slack.value(), 1);
  // The first iteration by the recorded columns.
  int64_t first = 0;
  const std::vector<double>& residual = run.rows.residual_norm;
  for (size_t t = 1; t < residual.size() && first == 0; ++t) {
    if (std::hypot(residual[t], residual[t - 1]) >
        BoundAt(wrong, residual[0], static_cast<int64_t>(t))) {
      first = static_cast<int64_t>(t);
    }
  }
  EXPECT_GT(first, 100);  // the constant hides it for a while
  EXPECT_EQ(certificate.first_violation, first);
}

// One component kicked by 1e-3 of the start once: what a bug in a step would look like.
TEST(Certificates, FindAPerturbedRun) {
  const ProblemInstance instance = Make(Diagonal(LogUniform(8, 100)), 1);
  const TheoryResolution theory = *Resolve(instance, PolyakMomentumSpec{}, Tuning::kTheorem);
  const std::unique_ptr<engine::Problem> problem = MakeProblem(instance);
  Vector now = problem->initial_point();
  const double start = now.norm();
  Vector before = now;
  Vector gradient(8);
  CertificateChecker checker(theory.bound, theory.prediction.assumptions,
                             RoundingFloor(instance, start));
  for (int64_t t = 0; t < 600; ++t) {
    problem->Evaluate(now, &gradient);
    checker.Add(t, now.norm(), std::hypot(now.norm(), before.norm()));
    Vector next =
        now - theory.method.step_size * gradient + theory.method.momentum * (now - before);
    if (t == 399) {
      next(0) += 1e-3 * start;  // (T7) allows 40 sqrt 2 0.95^400 = 7e-8 of it
    }
    before = std::exchange(now, next);
  }
  EXPECT_EQ(checker.certificate().verdict, Verdict::kViolated);
  EXPECT_EQ(checker.certificate().first_violation, 400);
}

TEST(Certificates, AreNotApplicableWhereNoTheoremIs) {
  const QuadraticSpec quadratic = Diagonal(LogUniform(5, 100));
  const auto certify = [&](const OptimizerSpec& optimizer, Tuning tuning) {
    const Certificate certificate =
        RunToEnd(quadratic, optimizer, Iterations(300), tuning).summary.certificate;
    EXPECT_EQ(certificate.verdict, Verdict::kNotApplicable);
    EXPECT_EQ(certificate.iterations_checked, 0);
    EXPECT_FALSE(certificate.bound_held);
    return Unmet(certificate);
  };
  EXPECT_THAT(certify(NesterovMomentumSpec{}, Tuning::kTheorem),
              ElementsAre("method_covered_by_theorem"));
  EXPECT_THAT(certify(NesterovMomentumSpec{}, Tuning::kAsymptotic),
              ElementsAre("method_covered_by_theorem"));
  EXPECT_THAT(certify(PolyakMomentumSpec{}, Tuning::kAsymptotic),
              ElementsAre("momentum_in_complex_regime"));
  EXPECT_THAT(certify(PolyakMomentumSpec{1.0, 0.3}, Tuning::kTheorem),
              ElementsAre("momentum_in_complex_regime"));
}

TEST(Certificates, AreNotApplicableWithoutAConditionNumber) {
  const Certificate certificate =
      RunToEnd(Diagonal(Vector(Vector::Unit(3, 0))), GradientDescentSpec{0.5}, Iterations(50))
          .summary.certificate;
  EXPECT_EQ(certificate.verdict, Verdict::kNotApplicable);
  EXPECT_THAT(Unmet(certificate), ElementsAre("positive_definite"));
}

TEST(Certificates, OfNarrowNetworksSayWhetherTheBoundHeldAllTheSame) {
  for (const OptimizerSpec& optimizer :
       {OptimizerSpec(PolyakMomentumSpec{}), OptimizerSpec(GradientDescentSpec{})}) {
    const FinishedRun relu = RunToEnd(ReluNetwork(UnitRows(1, 10, 20), NormalVector(2, 10), 2000),
                                      optimizer, Iterations(300));
    EXPECT_EQ(relu.summary.certificate.verdict, Verdict::kNotApplicable);
    EXPECT_THAT(Unmet(relu.summary.certificate), ElementsAre("width_of_theorem_order"));
    EXPECT_TRUE(relu.summary.certificate.bound_held);
    EXPECT_GT(relu.summary.certificate.iterations_checked, 100);
    const FinishedRun linear =
        RunToEnd(DeepLinearNetwork(NormalEntries(1, 9, 4), NormalEntries(2, 9, 2), 64, 3),
                 optimizer, Iterations(300));
    EXPECT_EQ(linear.summary.certificate.verdict, Verdict::kNotApplicable);
    EXPECT_THAT(Unmet(linear.summary.certificate), ElementsAre("width_of_theorem_order"));
    EXPECT_TRUE(linear.summary.certificate.bound_held);
    EXPECT_GT(linear.summary.certificate.iterations_checked, 30);
  }
}

// Thirty examples in four dimensions: kappa is so small that 64 neurons are of the theorem's order.
TEST(Certificates, OfADeepLinearNetworkOfTheTheoremsWidthPass) {
  for (const OptimizerSpec& optimizer :
       {OptimizerSpec(PolyakMomentumSpec{}), OptimizerSpec(GradientDescentSpec{})}) {
    const FinishedRun run =
        RunToEnd(DeepLinearNetwork(NormalEntries(1, 30, 4), NormalEntries(2, 30, 2), 64, 3),
                 optimizer, Iterations(300));
    ExpectNoAlarm(run, "deep linear");
    EXPECT_GT(run.summary.certificate.iterations_checked, 30);
  }
}

// Targets 10 to 100 times those of the reference run (docs/theory.md, section 4): what theory warns
// of beforehand is what happens.
TEST(Certificates, AreNotApplicableToDeepLinearTargetsThatMakeTheRunDiverge) {
  const Dataset& wine = *FindBuiltInDataset("datasets/wine")->data;
  for (const auto& [scale, width, diverges] :
       {std::tuple(1, 64, false), std::tuple(30, 64, true), std::tuple(100, 64, true),
        std::tuple(100, 256, true)}) {
    const FinishedRun run =
        RunToEnd(DeepLinearNetwork(wine.features, scale * wine.targets, width, 4),
                 PolyakMomentumSpec{}, Iterations(200));
    EXPECT_EQ(run.summary.certificate.verdict, Verdict::kNotApplicable);
    EXPECT_EQ(run.progress.reason == StopReason::kDiverged, diverges) << scale << " " << width;
    EXPECT_EQ(run.summary.certificate.bound_held, !diverges);
    const bool warned = std::any_of(run.theory.warnings.begin(), run.theory.warnings.end(),
                                    [](const std::string& warning) {
                                      return warning.find("may diverge") != std::string::npos;
                                    });
    EXPECT_EQ(warned, diverges) << scale << " " << width;
  }
}

TEST(Certificates, OfAGaussianDeepLinearStartNameIt) {
  DeepLinearNetworkSpec spec =
      DeepLinearNetwork(NormalEntries(1, 9, 4), NormalEntries(2, 9, 2), 64, 3);
  spec.initialization = DeepLinearInitialization::kGaussian;
  const Certificate certificate =
      RunToEnd(spec, PolyakMomentumSpec{}, Iterations(100)).summary.certificate;
  EXPECT_EQ(certificate.verdict, Verdict::kNotApplicable);
  EXPECT_THAT(Unmet(certificate), ElementsAre("orthogonal_start", "width_of_theorem_order"));
}

// The share of its constant that a job's own start, xi_{-1} = xi_0, needs: sup p_t / (beta^(t/2)
// p_0) with all of xi_0 in the slowest eigenvector.
TEST(Certificates, LeaveAJobsOwnStartMuchRoomUnderItsConstant) {
  for (const double kappa : {10.0, 100.0, 1e4, 1e6}) {
    Vector eigenvalues(2);
    eigenvalues << 1 / kappa, 1;
    QuadraticSpec spec = Diagonal(eigenvalues);
    spec.initial_point = Share(Vector(Vector::Unit(2, 0)));
    const FinishedRun run = RunToEnd(spec, PolyakMomentumSpec{}, Iterations(20 * std::sqrt(kappa)));
    double needed = 0;
    for (size_t t = 1; t < run.rows.residual_norm.size(); ++t) {
      const double stacked = std::hypot(run.rows.residual_norm[t], run.rows.residual_norm[t - 1]);
      needed =
          std::max(needed, stacked / std::sqrt(2.0) / run.rows.residual_norm[0] *
                               std::exp(-static_cast<double>(t) * std::log(run.theory.bound.rate)));
    }
    EXPECT_GT(needed, 1) << kappa;
    EXPECT_LT(needed, 1.5) << kappa;  // against C0 = 2.25 sqrt kappa
  }
}

}  // namespace
}  // namespace polyak
