#include "server/service/iteration_reader.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "rapidcheck.h"
#include "rapidcheck/gtest.h"
#include "server/engine/theory/bound_curve.h"
#include "tests/unit/server/service/stored_job.h"

namespace polyak::service {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();

ReadOptions Stride(int64_t stride) {
  ReadOptions options;
  options.stride = stride;
  return options;
}

// Everything the reader has, in batches of `max_records`.
v1::IterationBatch ReadAll(IterationReader& reader, int64_t max_records, bool ended) {
  v1::IterationBatch all;
  v1::IterationBatch batch;
  while (reader.HasMore(ended)) {
    EXPECT_TRUE(reader.Next(max_records, ended, batch).value());
    EXPECT_GE(batch.iteration_size(), 1);
    EXPECT_LE(batch.iteration_size(), max_records);
    all.MergeFrom(batch);
  }
  EXPECT_FALSE(reader.Next(max_records, ended, batch).value());
  EXPECT_EQ(batch.iteration_size(), 0);
  return all;
}

std::vector<int64_t> IterationsOf(const StoredJob& job, int64_t stride, int64_t after, bool ended,
                                  int64_t max_records = 1000) {
  IterationReader reader(job.job(), Stride(stride), after);
  const v1::IterationBatch all = ReadAll(reader, max_records, ended);
  return {all.iteration().begin(), all.iteration().end()};
}

TEST(IterationReader, EveryRecordComesWithItsColumns) {
  StoredJob job;
  job.Publish(20);
  IterationReader reader(job.job(), Stride(1), -1);
  const v1::IterationBatch all = ReadAll(reader, 7, false);
  ASSERT_EQ(all.iteration_size(), 20);
  const engine::BoundSpec& bound = job.job()->outline().bound;
  ASSERT_TRUE(bound.exists());
  engine::BoundCurve curve(bound, StoredJob::ResidualNorm(0));
  for (int t = 0; t < 20; ++t) {
    EXPECT_EQ(all.iteration(t), t);
    EXPECT_EQ(all.loss(t), StoredJob::Loss(t));
    EXPECT_EQ(all.residual_norm(t), StoredJob::ResidualNorm(t));
    EXPECT_EQ(all.theory_bound(t), curve.At(t));
    if (t < 5) {
      EXPECT_TRUE(std::isnan(all.rate_estimate(t)));
    } else {
      EXPECT_EQ(all.rate_estimate(t), StoredJob::RateEstimate(t));
    }
  }
  EXPECT_EQ(all.predicted_residual_norm_size(), 0);
  EXPECT_EQ(all.elapsed_seconds_size(), 0);
}

TEST(IterationReader, DiagnosticsComeOnRequestForTheIterationsThatHaveThem) {
  StoredJob job(absl::StrCat(kPolyak, " diagnostics_interval: 3"));
  job.Publish(11);
  IterationReader plain(job.job(), Stride(1), -1);
  EXPECT_FALSE(ReadAll(plain, 4, true).has_diagnostics());
  for (const int64_t stride : {1, 2}) {
    ReadOptions options = Stride(stride);
    options.with_diagnostics = true;
    IterationReader reader(job.job(), options, 0);
    const v1::IterationBatch all = ReadAll(reader, 4, true);
    const v1::Diagnostics& diagnostics = all.diagnostics();
    // Of every second record, which every third has diagnostics.
    EXPECT_EQ(
        (std::vector<int64_t>{diagnostics.iteration().begin(), diagnostics.iteration().end()}),
        stride == 1 ? (std::vector<int64_t>{3, 6, 9}) : (std::vector<int64_t>{6}));
    ASSERT_EQ(diagnostics.smallest_eigenvalue_size(), diagnostics.iteration_size());
    ASSERT_EQ(diagnostics.largest_eigenvalue_size(), diagnostics.iteration_size());
    ASSERT_EQ(diagnostics.condition_number_size(), diagnostics.iteration_size());
    ASSERT_EQ(diagnostics.flipped_share_size(), diagnostics.iteration_size());
    ASSERT_EQ(diagnostics.distance_from_start_size(), diagnostics.iteration_size());
    for (int k = 0; k < diagnostics.iteration_size(); ++k) {
      const int64_t t = diagnostics.iteration(k);
      EXPECT_EQ(diagnostics.smallest_eigenvalue(k),
                StoredJob::Diagnostic(engine::kSmallestEigenvalue, t));
      EXPECT_EQ(diagnostics.largest_eigenvalue(k),
                StoredJob::Diagnostic(engine::kLargestEigenvalue, t));
      EXPECT_EQ(diagnostics.condition_number(k),
                StoredJob::Diagnostic(engine::kConditionNumber, t));
      EXPECT_EQ(diagnostics.flipped_share(k), StoredJob::Diagnostic(engine::kFlippedShare, t));
      EXPECT_EQ(diagnostics.distance_from_start(k),
                StoredJob::Diagnostic(engine::kDistanceFromStart, t));
    }
  }
}

TEST(IterationReader, AJobWithoutDiagnosticsHasNoneToGive) {
  StoredJob job;
  job.Publish(5);
  ReadOptions options;
  options.with_diagnostics = true;
  IterationReader reader(job.job(), options, -1);
  const v1::IterationBatch all = ReadAll(reader, 10, true);
  EXPECT_EQ(all.iteration_size(), 5);
  EXPECT_FALSE(all.has_diagnostics());
}

TEST(IterationReader, AStrideKeepsItsMultiplesAndTheFirstAndOfAnEndedJobTheLast) {
  StoredJob job;
  job.Publish(11);
  EXPECT_THAT(IterationsOf(job, 4, -1, false), ElementsAre(0, 4, 8));
  EXPECT_THAT(IterationsOf(job, 4, -1, true), ElementsAre(0, 4, 8, 10));
  EXPECT_THAT(IterationsOf(job, 5, -1, true), ElementsAre(0, 5, 10));  // the last only once
  EXPECT_THAT(IterationsOf(job, 100, -1, true), ElementsAre(0, 10));
  EXPECT_THAT(IterationsOf(job, 100, -1, false), ElementsAre(0));
}

TEST(IterationReader, TheCursorIsExclusive) {
  StoredJob job;
  job.Publish(11);
  EXPECT_THAT(IterationsOf(job, 1, 8, true), ElementsAre(9, 10));
  EXPECT_THAT(IterationsOf(job, 4, 0, true), ElementsAre(4, 8, 10));
  EXPECT_THAT(IterationsOf(job, 4, 3, true), ElementsAre(4, 8, 10));
  EXPECT_THAT(IterationsOf(job, 4, 4, true), ElementsAre(8, 10));
  EXPECT_THAT(IterationsOf(job, 4, 9, true), ElementsAre(10));
  EXPECT_THAT(IterationsOf(job, 4, 10, true), IsEmpty());
  EXPECT_THAT(IterationsOf(job, 1, 500, true), IsEmpty());  // beyond the stored trace
  EXPECT_THAT(IterationsOf(job, 1, 500, false), IsEmpty());
}

// A stride is any positive number: sums and products with it must not wrap round.
TEST(IterationReader, TheLargestStrideKeepsTheFirstAndTheLast) {
  StoredJob job;
  job.Publish(11);
  for (const int64_t stride : {kHuge, kHuge - 1, kHuge / 2 + 1, kHuge / 3}) {
    EXPECT_THAT(IterationsOf(job, stride, -1, true), ElementsAre(0, 10)) << stride;
    EXPECT_THAT(IterationsOf(job, stride, 0, true), ElementsAre(10)) << stride;
    EXPECT_THAT(IterationsOf(job, stride, 1, true), ElementsAre(10)) << stride;
    EXPECT_THAT(IterationsOf(job, stride, 1, false), IsEmpty()) << stride;
  }
}

TEST(IterationReader, AJobWithoutRecordsHasNothing) {
  const StoredJob job;
  EXPECT_THAT(IterationsOf(job, 1, -1, false), IsEmpty());
  EXPECT_THAT(IterationsOf(job, 1, -1, true), IsEmpty());
}

TEST(IterationReader, WhatIsPublishedLaterComesLater) {
  StoredJob job;
  job.Publish(3);
  IterationReader reader(job.job(), Stride(2), -1);
  v1::IterationBatch batch;
  ASSERT_TRUE(reader.Next(10, false, batch).value());
  EXPECT_THAT(batch.iteration(), ElementsAre(0, 2));
  EXPECT_FALSE(reader.HasMore(false));
  EXPECT_EQ(reader.cursor(), 2);
  job.Publish(6);
  EXPECT_TRUE(reader.HasMore(false));
  ASSERT_TRUE(reader.Next(10, true, batch).value());
  EXPECT_THAT(batch.iteration(), ElementsAre(4, 5));
  EXPECT_EQ(reader.cursor(), 5);
}

TEST(IterationReader, KnowsWhetherTheFirstRowsAreDelivered) {
  StoredJob job;
  job.Publish(10);
  IterationReader reader(job.job(), Stride(1), -1);
  v1::IterationBatch batch;
  ASSERT_TRUE(reader.Next(4, false, batch).value());
  EXPECT_FALSE(reader.HasMoreBelow(4, false));
  EXPECT_TRUE(reader.HasMoreBelow(5, false));
  EXPECT_FALSE(reader.HasMoreBelow(0, false));
}

TEST(IterationReader, AFullBatchLeavesTheLastRecordForTheNext) {
  StoredJob job;
  job.Publish(10);
  IterationReader reader(job.job(), Stride(4), -1);
  v1::IterationBatch batch;
  ASSERT_TRUE(reader.Next(3, true, batch).value());
  EXPECT_THAT(batch.iteration(), ElementsAre(0, 4, 8));
  EXPECT_TRUE(reader.HasMore(true));
  ASSERT_TRUE(reader.Next(3, true, batch).value());
  EXPECT_THAT(batch.iteration(), ElementsAre(9));
  EXPECT_FALSE(reader.HasMore(true));
}

TEST(IterationReader, WithoutATheoremTheBoundIsNaN) {
  StoredJob job(
      "quadratic { spectrum { generated { dimension: 3 condition_number: 10 } } } optimizer { "
      "nesterov_momentum {} }");
  job.Publish(3);
  IterationReader reader(job.job(), Stride(1), -1);
  const v1::IterationBatch all = ReadAll(reader, 10, true);
  ASSERT_EQ(all.theory_bound_size(), 3);
  for (const double bound : all.theory_bound()) {
    EXPECT_TRUE(std::isnan(bound));
  }
}

TEST(IterationReader, ThePredictedCurveIsTheSameWhereverTheReaderBegins) {
  StoredJob job;
  job.Publish(400);
  ReadOptions options = Stride(1);
  options.with_prediction = true;
  IterationReader whole(job.job(), options, -1);
  const v1::IterationBatch all = ReadAll(whole, 64, true);
  ASSERT_EQ(all.predicted_residual_norm_size(), 400);
  EXPECT_EQ(all.predicted_residual_norm(0),
            engine::PredictedCurve(*job.job()->Linearized(), job.job()->outline().method).Next());
  options.stride = 37;
  for (const int64_t after : {-1, 0, 36, 37, 200}) {
    IterationReader part(job.job(), options, after);
    const v1::IterationBatch some = ReadAll(part, 3, true);
    ASSERT_EQ(some.predicted_residual_norm_size(), some.iteration_size());
    for (int k = 0; k < some.iteration_size(); ++k) {
      // Powers of 2x2 blocks against the recursion: each of t steps rounds by a few eps of the
      // start's norm. 400 steps, 10 eps each.
      EXPECT_NEAR(some.predicted_residual_norm(k),
                  all.predicted_residual_norm(static_cast<int>(some.iteration(k))),
                  400 * 10 * 2.3e-16 * all.predicted_residual_norm(0));
    }
  }
}

TEST(IterationReader, ElapsedTimeComesOnRequest) {
  StoredJob job;
  job.Publish(1);   // at 0 s
  job.Publish(11);  // at 10 s
  ReadOptions options = Stride(5);
  options.with_elapsed = true;
  IterationReader reader(job.job(), options, -1);
  EXPECT_THAT(ReadAll(reader, 10, true).elapsed_seconds(), ElementsAre(0, 5, 10));
}

// docs/watch.md: every record with iteration > after_iteration, in order, exactly once; with a
// stride, the iterations divisible by it, and always record 0 and the last. However it is cut into
// batches, and whenever the records were published.
RC_GTEST_PROP(IterationReader, JoinedBatchesAreWhatTheWatchPromises, ()) {
  const auto rows = *rc::gen::inRange<int64_t>(1, 300);
  const auto stride = *rc::gen::oneOf(rc::gen::inRange<int64_t>(1, 40),
                                      rc::gen::inRange<int64_t>(1, 1000), rc::gen::just(kHuge));
  const auto after = *rc::gen::inRange<int64_t>(-1, 320);
  const auto published_first = *rc::gen::inRange<int64_t>(1, rows + 1);
  StoredJob job;
  IterationReader reader(job.job(), Stride(stride), after);
  std::vector<int64_t> joined;
  v1::IterationBatch batch;
  job.Publish(published_first);
  while (reader.HasMore(false)) {
    RC_ASSERT(reader.Next(*rc::gen::inRange<int64_t>(1, 50), false, batch).value());
    joined.insert(joined.end(), batch.iteration().begin(), batch.iteration().end());
  }
  job.Publish(rows);
  while (reader.HasMore(true)) {
    RC_ASSERT(reader.Next(*rc::gen::inRange<int64_t>(1, 50), true, batch).value());
    joined.insert(joined.end(), batch.iteration().begin(), batch.iteration().end());
  }
  std::vector<int64_t> defined;
  for (int64_t t = after + 1; t < rows; ++t) {
    if (t % stride == 0 || t == rows - 1) {
      defined.push_back(t);
    }
  }
  RC_ASSERT(joined == defined);
}

}  // namespace
}  // namespace polyak::service
