#include "server/spec/describe.h"

#include <cmath>
#include <limits>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::spec {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNaN = std::nan("");

engine::TheoryResolution Theory() {
  engine::TheoryResolution theory;
  theory.method = {0.25, 0.5, 0, 1};
  theory.prediction.smallest_eigenvalue = 0;
  theory.prediction.largest_eigenvalue = 4;
  theory.prediction.condition_number = kInfinity;
  theory.prediction.theorem_condition_number = kInfinity;
  theory.prediction.rate = 1;
  theory.prediction.loss_floor = 0.125;
  return theory;
}

engine::PlanChoice DensePlan() { return {&engine::Plans().back(), "the only one"}; }

TEST(DescribeResolution, CarriesEveryNumberAlsoThoseThatAreNone) {
  const v1::Resolution message = DescribeResolution(Theory(), engine::Seed{-7}, DensePlan());
  EXPECT_EQ(message.step_size(), 0.25);
  EXPECT_EQ(message.momentum(), 0.5);
  EXPECT_EQ(message.seed(), -7);
  EXPECT_EQ(message.plan(), v1::EXECUTION_PLAN_DENSE);
  EXPECT_EQ(message.plan_reason(), "the only one");
  const v1::Prediction& prediction = message.prediction();
  EXPECT_EQ(prediction.smallest_eigenvalue(), 0);
  EXPECT_EQ(prediction.largest_eigenvalue(), 4);
  EXPECT_EQ(prediction.condition_number(), kInfinity);
  EXPECT_EQ(prediction.theorem_condition_number(), kInfinity);
  EXPECT_EQ(prediction.rate(), 1);
  EXPECT_TRUE(std::isnan(prediction.constant()));
  EXPECT_TRUE(std::isnan(prediction.bound_rate()));
  EXPECT_EQ(prediction.loss_floor(), 0.125);
}

TEST(DescribeResolution, APlanThatIsNotDenseIsReduced) {
  engine::PlanEntry entry = engine::Plans().at(0);
  entry.plan = engine::ExecutionPlan::kReduced;
  EXPECT_EQ(DescribeResolution(Theory(), {}, {&entry, ""}).plan(), v1::EXECUTION_PLAN_REDUCED);
}

// The engine's statuses in order, and the schema's: a new one on either side has to be thought of.
TEST(DescribeResolution, EveryStatusOfAnAssumptionHasItsOwn) {
  using Status = engine::Assumption::Status;
  engine::TheoryResolution theory = Theory();
  for (const Status status : {Status::kMet, Status::kUnmet, Status::kUnverifiable}) {
    theory.prediction.assumptions.push_back({"name", kNaN, 2, status, "A sentence."});
  }
  const v1::Prediction prediction = DescribeResolution(theory, {}, DensePlan()).prediction();
  ASSERT_EQ(prediction.assumptions_size(), 3);
  EXPECT_EQ(prediction.assumptions(0).status(), v1::Assumption::STATUS_MET);
  EXPECT_EQ(prediction.assumptions(1).status(), v1::Assumption::STATUS_UNMET);
  EXPECT_EQ(prediction.assumptions(2).status(), v1::Assumption::STATUS_UNVERIFIABLE);
  EXPECT_EQ(v1::Assumption::Status_descriptor()->value_count(), 1 + 3);
  EXPECT_EQ(prediction.assumptions(0).name(), "name");
  EXPECT_TRUE(std::isnan(prediction.assumptions(0).required()));
  EXPECT_EQ(prediction.assumptions(0).actual(), 2);
  EXPECT_EQ(prediction.assumptions(0).text(), "A sentence.");
}

TEST(DescribeTermination, EveryReasonHasItsOwn) {
  using Reason = engine::StopReason;
  std::set<int> reasons;
  for (const Reason reason : {Reason::kConverged, Reason::kMaxIterations, Reason::kTimeLimit,
                              Reason::kDiverged, Reason::kCancelled}) {
    reasons.insert(DescribeTermination(reason).reason());
  }
  EXPECT_FALSE(reasons.contains(v1::Termination::REASON_UNSPECIFIED));
  // With the unspecified one these are all the schema has.
  EXPECT_EQ(static_cast<int>(reasons.size()) + 1,
            v1::Termination::Reason_descriptor()->value_count());
  EXPECT_EQ(DescribeTermination(Reason::kConverged).reason(), v1::Termination::REASON_CONVERGED);
  EXPECT_EQ(DescribeTermination(Reason::kMaxIterations).reason(),
            v1::Termination::REASON_MAX_ITERATIONS);
  EXPECT_EQ(DescribeTermination(Reason::kTimeLimit).reason(), v1::Termination::REASON_TIME_LIMIT);
  EXPECT_EQ(DescribeTermination(Reason::kDiverged).reason(), v1::Termination::REASON_DIVERGED);
  EXPECT_EQ(DescribeTermination(Reason::kCancelled).reason(), v1::Termination::REASON_CANCELLED);
}

TEST(DescribeSummary, EveryVerdictHasItsOwn) {
  using Verdict = engine::Verdict;
  engine::RunSummary summary;
  summary.certificate.verdict = Verdict::kPass;
  EXPECT_EQ(DescribeSummary(summary, 0).certificate().verdict(), v1::Certificate::VERDICT_PASS);
  summary.certificate.verdict = Verdict::kViolated;
  EXPECT_EQ(DescribeSummary(summary, 0).certificate().verdict(), v1::Certificate::VERDICT_VIOLATED);
  summary.certificate.verdict = Verdict::kNotApplicable;
  EXPECT_EQ(DescribeSummary(summary, 0).certificate().verdict(),
            v1::Certificate::VERDICT_NOT_APPLICABLE);
  EXPECT_EQ(v1::Certificate::Verdict_descriptor()->value_count(), 1 + 3);
}

TEST(DescribeSummary, CarriesWhatWasMeasured) {
  engine::RunSummary summary;
  summary.iterations = 9;
  summary.initial_loss = 2;
  summary.final_loss = kInfinity;
  summary.final_residual_norm = kNaN;
  summary.windowed = {0.5, 0.01, 3, 9, "windowed regression"};
  summary.quotient = {0.25, kNaN, 8, 9, "last quotient"};
  summary.overall = {0.75, kNaN, 0, 9, "overall geometric mean"};
  summary.peak_ratio = 3;
  summary.peak_iteration = 4;
  summary.flipped_share = 0.0625;
  const v1::Summary message = DescribeSummary(summary, 61.5);
  EXPECT_EQ(message.iterations(), 9);
  EXPECT_EQ(message.initial_loss(), 2);
  EXPECT_EQ(message.final_loss(), kInfinity);
  EXPECT_TRUE(std::isnan(message.final_residual_norm()));
  EXPECT_EQ(message.measured_rate(), 0.5);
  EXPECT_EQ(message.windowed_rate().standard_error(), 0.01);
  EXPECT_EQ(message.windowed_rate().first_iteration(), 3);
  EXPECT_EQ(message.windowed_rate().last_iteration(), 9);
  EXPECT_EQ(message.windowed_rate().method(), "windowed regression");
  EXPECT_EQ(message.quotient_rate().rate(), 0.25);
  EXPECT_TRUE(std::isnan(message.quotient_rate().standard_error()));
  EXPECT_EQ(message.overall_rate().rate(), 0.75);
  EXPECT_EQ(message.peak_ratio(), 3);
  EXPECT_EQ(message.peak_iteration(), 4);
  EXPECT_EQ(message.flipped_share(), 0.0625);
  EXPECT_EQ(message.training_time().seconds(), 61);
  EXPECT_EQ(message.training_time().nanos(), 500'000'000);
}

TEST(DescribeSummary, WhatIsNotKnownIsUnset) {
  engine::RunSummary summary;
  summary.windowed.method = "window too short";
  summary.flipped_share = kNaN;
  const v1::Summary message = DescribeSummary(summary, 0);
  EXPECT_FALSE(message.has_measured_rate());
  EXPECT_TRUE(std::isnan(message.windowed_rate().rate()));
  EXPECT_EQ(message.windowed_rate().method(), "window too short");
  EXPECT_FALSE(message.has_flipped_share());
  EXPECT_FALSE(message.certificate().has_least_slack());
  EXPECT_FALSE(message.certificate().has_least_slack_iteration());
  EXPECT_FALSE(message.certificate().has_last_slack());
  EXPECT_FALSE(message.certificate().has_first_violation());
}

TEST(DescribeSummary, CarriesTheCertificate) {
  engine::RunSummary summary;
  engine::Certificate& certificate = summary.certificate;
  certificate.bound_held = true;
  certificate.least_slack = 1.5;
  certificate.least_slack_iteration = 7;
  certificate.last_slack = kInfinity;
  certificate.first_violation = 0;
  certificate.iterations_checked = 12;
  certificate.assumptions.push_back({"unit_norm", 1, 1, engine::Assumption::Status::kMet, "Yes."});
  const v1::Certificate message = DescribeSummary(summary, 0).certificate();
  EXPECT_TRUE(message.bound_held());
  EXPECT_EQ(message.least_slack(), 1.5);
  EXPECT_EQ(message.least_slack_iteration(), 7);
  EXPECT_EQ(message.last_slack(), kInfinity);
  ASSERT_TRUE(message.has_first_violation());
  EXPECT_EQ(message.first_violation(), 0);
  EXPECT_EQ(message.iterations_checked(), 12);
  ASSERT_EQ(message.assumptions_size(), 1);
  EXPECT_EQ(message.assumptions(0).name(), "unit_norm");
}

// The largest double below a whole second must not become 10^9 nanoseconds.
TEST(DescribeSummary, NanosecondsStayBelowASecond) {
  const v1::Summary message = DescribeSummary({}, std::nextafter(1.0, 0.0));
  EXPECT_EQ(message.training_time().seconds(), 0);
  EXPECT_EQ(message.training_time().nanos(), 999'999'999);
}

}  // namespace
}  // namespace polyak::spec
