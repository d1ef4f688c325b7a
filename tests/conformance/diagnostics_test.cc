// Diagnostics: DENSE against derivatives taken numerically, a parameter at a time; the other plans
// against DENSE; and that nothing else depends on them.

#include <Eigen/Eigenvalues>

#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "server/engine/plans/event_driven.h"
#include "server/engine/plans/gram_coordinates.h"
#include "tests/conformance/samples.h"
#include "tests/support/problems.h"
#include "tests/support/saved_state.h"

namespace polyak::conformance {
namespace {

using namespace engine;  // NOLINT(google-build-using-namespace): the whole file is about it
using ::polyak::testing_support::LoadState;
using ::polyak::testing_support::Make;
using ::polyak::testing_support::NormalEntries;
using ::polyak::testing_support::NormalVector;
using ::polyak::testing_support::StateOf;

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

const PlanEntry& PlanNamed(std::string_view name) {
  for (const PlanEntry& plan : Plans()) {
    if (plan.name == name) {
      return plan;
    }
  }
  ADD_FAILURE() << "no plan " << name;
  return Plans().front();
}

std::unique_ptr<Stepper> MakeStepper(const PlanEntry& plan, const Experiment& experiment) {
  auto stepper = plan.make(experiment, {});
  EXPECT_TRUE(stepper.ok()) << stepper.status();
  return *std::move(stepper);
}

// The literal iterate, its values as ParameterMatrices orders them.
Vector IterateOf(const Stepper& stepper) {
  base::StringSink sink;
  stepper.WriteIterate(sink);
  base::StringSource source(sink.bytes());
  Vector iterate(static_cast<Eigen::Index>(sink.bytes().size() / sizeof(double)));
  for (double& value : iterate) {
    value = source.ReadDouble();
  }
  return iterate;
}

// J J' with J by central differences, each of one parameter. Outputs are linear in each parameter
// of a deep linear network, and piecewise so in a ReLU network: but for rounding there is no error
// of a difference, as long as no activation flips within it.
Matrix NumericalGram(const std::function<Vector(const Vector&)>& outputs, const Vector& w,
                     double difference) {
  const Eigen::Index count = outputs(w).size();
  Matrix gram = Matrix::Zero(count, count);
  for (Eigen::Index k = 0; k < w.size(); ++k) {
    Vector above = w;
    Vector below = w;
    above(k) += difference;
    below(k) -= difference;
    const Vector derivative = (outputs(above) - outputs(below)) / (above(k) - below(k));
    gram += derivative * derivative.transpose();
  }
  return gram;
}

Vector EigenvaluesOf(const Matrix& matrix) {
  return Eigen::SelfAdjointEigenSolver<Matrix>(matrix, Eigen::EigenvaluesOnly).eigenvalues();
}

TEST(Diagnostics, OfAReluNetworkAreThoseOfDerivativesTakenNumerically) {
  const Eigen::Index examples = 6;
  const Eigen::Index inputs = 4;
  const Eigen::Index width = 25;
  auto spec = testing_support::ReluNetwork(testing_support::UnitRows(1, examples, inputs),
                                           NormalVector(2, examples), width);
  const ProblemInstance problem = Make(spec, 3);
  const auto& network = *std::get<std::shared_ptr<const ReluNetworkInstance>>(problem);
  const Vector output_weights = OutputWeights(network);
  const auto activations = [&](const Vector& w) -> Matrix {
    return network.features * Eigen::Map<const Matrix>(w.data(), width, inputs).transpose();
  };
  const auto outputs = [&](const Vector& w) -> Vector {
    return activations(w).cwiseMax(0) * output_weights / std::sqrt(static_cast<double>(width));
  };
  const auto stepper = MakeStepper(PlanNamed("DENSE"), {problem, PolyakMomentumSpec{0.5, 0.8}});
  stepper->Observe();
  const Vector start = IterateOf(*stepper);
  for (int t = 0; t < 12; ++t) {
    stepper->Step();
    stepper->Observe();
  }
  const Vector w = IterateOf(*stepper);
  const double difference = 1e-6;
  ASSERT_GT(activations(w).cwiseAbs().minCoeff(), 2 * difference);
  const Vector eigenvalues = EigenvaluesOf(NumericalGram(outputs, w, difference));
  const Diagnostics diagnostics = stepper->Diagnose();
  // Outputs are of size 1: a derivative is off by a few eps / difference, H by |J| times that.
  const double tolerance = 100 * kEpsilon / difference;
  EXPECT_NEAR(diagnostics.smallest_eigenvalue, eigenvalues(0), tolerance);
  EXPECT_NEAR(diagnostics.largest_eigenvalue, eigenvalues(examples - 1), tolerance);
  EXPECT_EQ(diagnostics.condition_number,
            diagnostics.largest_eigenvalue / diagnostics.smallest_eigenvalue);
  const int64_t flipped =
      ((activations(w).array() > 0) != (activations(start).array() > 0)).count();
  EXPECT_GT(flipped, 0);
  EXPECT_DOUBLE_EQ(diagnostics.flipped_share,
                   static_cast<double>(flipped) / static_cast<double>(width * examples));
  EXPECT_DOUBLE_EQ(diagnostics.distance_from_start, (w - start).norm());
}

TEST(Diagnostics, OfADeepLinearNetworkAreThoseOfDerivativesTakenNumerically) {
  const Eigen::Index examples = 7;
  const Eigen::Index inputs = 3;
  const Eigen::Index width = 5;
  const Eigen::Index targets = 2;
  const int depth = 4;
  const auto spec = testing_support::DeepLinearNetwork(
      NormalEntries(1, examples, inputs), NormalEntries(2, examples, targets), width, depth);
  const ProblemInstance problem = Make(spec, 3);
  const auto& network = *std::get<std::shared_ptr<const DeepLinearNetworkInstance>>(problem);
  // N(X): of all examples, not of the row space alone. The spectrum of J J' then has further
  // zeros, one for each direction of the outputs out of reach.
  const auto outputs = [&](const Vector& w) -> Vector {
    Matrix image = network.features.transpose();
    Eigen::Index offset = 0;
    for (int l = 1; l <= depth; ++l) {
      const Eigen::Index rows = l == depth ? targets : width;
      const Eigen::Index cols = l == 1 ? inputs : width;
      image = (Eigen::Map<const Matrix>(w.data() + offset, rows, cols) * image).eval();
      image /= std::sqrt(static_cast<double>(l == depth ? targets : width));
      offset += rows * cols;
    }
    return image.reshaped();
  };
  const auto stepper = MakeStepper(PlanNamed("DENSE"), {problem, PolyakMomentumSpec{0.01, 0.8}});
  stepper->Observe();
  const Vector start = IterateOf(*stepper);
  for (int t = 0; t < 12; ++t) {
    stepper->Step();
    stepper->Observe();
  }
  const Vector w = IterateOf(*stepper);
  const Vector eigenvalues = EigenvaluesOf(NumericalGram(outputs, w, 1));
  const Diagnostics diagnostics = stepper->Diagnose();
  const double largest = eigenvalues(eigenvalues.size() - 1);
  const double tolerance = 1000 * kEpsilon * largest;
  EXPECT_NEAR(diagnostics.largest_eigenvalue, largest, tolerance);
  const Eigen::Index unreachable = (examples - inputs) * targets;
  EXPECT_LE(eigenvalues(unreachable - 1), tolerance);
  EXPECT_GT(eigenvalues(unreachable), 100 * tolerance);
  EXPECT_NEAR(diagnostics.smallest_eigenvalue, eigenvalues(unreachable), tolerance);
  EXPECT_TRUE(std::isnan(diagnostics.flipped_share));
  EXPECT_DOUBLE_EQ(diagnostics.distance_from_start, (w - start).norm());
}

// At the start of an orthogonal network H is (L / d_y) S^2 (x) I, the one of theory.
TEST(Diagnostics, BeginWithTheEigenvaluesOfTheoryForAnOrthogonalStart) {
  const auto spec =
      testing_support::DeepLinearNetwork(NormalEntries(1, 9, 4), NormalEntries(2, 9, 3), 12, 5);
  const Prepared prepared = Prepare(spec, PolyakMomentumSpec{}, Seed{1});
  for (const PlanEntry* plan : PlansFor(prepared.experiment)) {
    const auto stepper = MakeStepper(*plan, prepared.experiment);
    stepper->Observe();
    const Diagnostics diagnostics = stepper->Diagnose();
    const Prediction& prediction = prepared.theory.prediction;
    const double tolerance = 1000 * kEpsilon * prediction.largest_eigenvalue;
    EXPECT_NEAR(diagnostics.smallest_eigenvalue, prediction.smallest_eigenvalue, tolerance);
    EXPECT_NEAR(diagnostics.largest_eigenvalue, prediction.largest_eigenvalue, tolerance);
    EXPECT_EQ(diagnostics.distance_from_start, 0);
  }
}

// H of either plan is off by rounding, N eps of its largest eigenvalue and what the iterates differ
// by, which the conformance of the plans bounds by 1e-12 of the start.  A distance is off by what
// DENSE's weights round, at most eps |w| an iteration, and by sqrt(eps kappa) at most where a sum
// of squares cancels; under 1e-10 for the problems here.
void ExpectSame(const Diagnostics& found, const Diagnostics& dense, double weights_norm,
                int64_t iteration, const std::string& what) {
  const double tolerance = 1e-11 * dense.largest_eigenvalue;
  EXPECT_NEAR(found.smallest_eigenvalue, dense.smallest_eigenvalue, tolerance) << what;
  EXPECT_NEAR(found.largest_eigenvalue, dense.largest_eigenvalue, tolerance) << what;
  if (std::isinf(dense.condition_number) || std::isinf(found.condition_number)) {
    EXPECT_EQ(found.condition_number, dense.condition_number) << what;
  } else {
    EXPECT_NEAR(found.condition_number, dense.condition_number,
                2e-11 * dense.condition_number * dense.condition_number)
        << what;
  }
  EXPECT_EQ(std::isnan(found.flipped_share), std::isnan(dense.flipped_share)) << what;
  if (!std::isnan(dense.flipped_share)) {
    EXPECT_EQ(found.flipped_share, dense.flipped_share) << what;
  }
  EXPECT_NEAR(found.distance_from_start, dense.distance_from_start,
              1e-10 * dense.distance_from_start +
                  static_cast<double>(iteration + 1) * kEpsilon * weights_norm)
      << what;
}

TEST(Diagnostics, AreThoseOfDenseInEveryPlan) {
  for (const Sample& sample : Samples()) {
    for (const OptimizerSpec& optimizer : Optimizers()) {
      const Prepared prepared = Prepare(sample.spec, optimizer, Seed{1});
      const auto dense = MakeStepper(PlanNamed("DENSE"), prepared.experiment);
      std::vector<std::unique_ptr<Stepper>> others;
      std::vector<std::string_view> names;
      for (const PlanEntry* plan : PlansFor(prepared.experiment)) {
        if (plan->plan == ExecutionPlan::kReduced) {
          others.push_back(MakeStepper(*plan, prepared.experiment));
          names.push_back(plan->name);
        }
      }
      for (int64_t t = 0; t < 60; ++t) {
        dense->Observe();
        const Diagnostics expected = dense->Diagnose();
        const double norm = IterateOf(*dense).norm();
        for (size_t k = 0; k < others.size(); ++k) {
          others[k]->Observe();
          ExpectSame(others[k]->Diagnose(), expected, norm, t,
                     sample.name + " " + std::string(names[k]) + " at " + std::to_string(t));
          others[k]->Step();
        }
        dense->Step();
      }
      ASSERT_FALSE(HasFailure());
    }
  }
}

// Both forms of the reduced ReLU plan, through thousands of flips.
TEST(Diagnostics, OfAReluNetworkAreThoseOfDenseThroughFlips) {
  const auto spec =
      testing_support::ReluNetwork(testing_support::UnitRows(5, 9, 5), 3 * NormalVector(6, 9), 300);
  const ProblemInstance problem = Make(spec, 7);
  const auto network = std::get<std::shared_ptr<const ReluNetworkInstance>>(problem);
  for (const OptimizerSpec& optimizer :
       std::vector<OptimizerSpec>{GradientDescentSpec{0.4}, PolyakMomentumSpec{0.3, 0.9},
                                  NesterovMomentumSpec{0.3, 0.9}}) {
    const LinearMethod method = LinearForm(optimizer);
    const auto dense = MakeStepper(PlanNamed("DENSE"), {problem, optimizer});
    EventDrivenNetwork events(network, method);
    std::unique_ptr<GramCoordinates> gram;
    for (int64_t t = 0; t < 150; ++t) {
      dense->Observe();
      events.Observe();
      const Diagnostics expected = dense->Diagnose();
      const double norm = IterateOf(*dense).norm();
      ExpectSame(events.Diagnose(), expected, norm, t, "events at " + std::to_string(t));
      if (gram != nullptr) {
        gram->Observe();
        ExpectSame(gram->Diagnose(), expected, norm, t, "Gram at " + std::to_string(t));
        gram->Step();
      }
      dense->Step();
      events.Step();
      if (t == 20) {
        gram = std::make_unique<GramCoordinates>(network, method, events);
      }
      ASSERT_FALSE(HasFailure());
    }
    EXPECT_GT(events.counts().flips, 100);
  }
}

class AllColumns : public base::RowSink {
 public:
  void Append(std::span<const double> row) noexcept override {
    for (size_t c = 0; c < row.size(); ++c) {
      (c < kTraceColumns ? records : diagnostics).push_back(std::bit_cast<uint64_t>(row[c]));
    }
  }
  std::vector<uint64_t> records;      // bits
  std::vector<uint64_t> diagnostics;  // bits
};

constexpr int64_t kIterations = 200;

std::unique_ptr<Trainer> MakeTrainer(const Prepared& prepared, const PlanEntry& plan,
                                     int64_t interval, base::RowSink& sink,
                                     const base::StopToken& stop) {
  StoppingRule stopping;
  stopping.max_iterations = kIterations;
  return std::make_unique<Trainer>(prepared.experiment, prepared.theory, stopping,
                                   MakeStepper(plan, prepared.experiment), sink, stop, interval);
}

TEST(Diagnostics, ChangeNoBitOfTheRecordsNorOfASavedState) {
  const base::StopToken stop;
  for (const Sample& sample : Samples()) {
    const Prepared prepared = Prepare(sample.spec, PolyakMomentumSpec{}, Seed{1});
    for (const PlanEntry* plan : PlansFor(prepared.experiment)) {
      AllColumns without;
      AllColumns with;
      const auto plain = MakeTrainer(prepared, *plan, 0, without, stop);
      const auto diagnosed = MakeTrainer(prepared, *plan, 3, with, stop);
      for (int part = 0; part < 4; ++part) {
        plain->Advance(41);
        diagnosed->Advance(41);
        ASSERT_EQ(StateOf(*diagnosed), StateOf(*plain)) << sample.name << " " << plan->name;
      }
      plain->Advance(kIterations);
      diagnosed->Advance(kIterations);
      EXPECT_EQ(with.records, without.records) << sample.name << " " << plan->name;
      EXPECT_TRUE(without.diagnostics.empty());
      EXPECT_EQ(with.diagnostics.size(), size_t{kDiagnosticColumns} * (kIterations + 1));
    }
  }
}

TEST(Diagnostics, AreTheSameBitsInARunThatWasSavedAndLoaded) {
  const base::StopToken stop;
  for (const Sample& sample : Samples()) {
    for (const OptimizerSpec& optimizer : Optimizers()) {
      const Prepared prepared = Prepare(sample.spec, optimizer, Seed{1});
      for (const PlanEntry* plan : PlansFor(prepared.experiment)) {
        AllColumns whole;
        MakeTrainer(prepared, *plan, 5, whole, stop)->Advance(kIterations + 1);
        AllColumns parts;
        auto trainer = MakeTrainer(prepared, *plan, 5, parts, stop);
        for (const int64_t records : {1, 15, 16, 33, 70, 66}) {
          trainer->Advance(records);
          const std::string state = StateOf(*trainer);
          trainer = MakeTrainer(prepared, *plan, 5, parts, stop);
          ASSERT_TRUE(LoadState(*trainer, state).ok());
        }
        ASSERT_EQ(parts.records, whole.records) << sample.name << " " << plan->name;
        ASSERT_EQ(parts.diagnostics, whole.diagnostics) << sample.name << " " << plan->name;
      }
    }
  }
}

}  // namespace
}  // namespace polyak::conformance
