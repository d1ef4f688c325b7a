#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/unit/server/service/service_fixture.h"

namespace polyak::service {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

class SummarizeIterationsTest : public ServiceTest {
 protected:
  grpc::Status Summarize(const v1::SummarizeIterationsRequest& request) {
    answer_.Clear();
    return Call(&v1::TrainingService::Stub::SummarizeIterations, request, answer_);
  }
  v1::IterationBatch Records(const std::string& name) {
    v1::ReadIterationsRequest request;
    request.set_name(name);
    v1::ReadIterationsResponse response;
    EXPECT_TRUE(Call(&v1::TrainingService::Stub::ReadIterations, request, response).ok());
    return response.iterations();
  }

  v1::SummarizeIterationsResponse answer_;
};

TEST_F(SummarizeIterationsTest, EveryBinIsWhatItsRecordsSay) {
  const std::string name = Create(kShort, "a");
  Wait(name);
  const v1::IterationBatch records = Records(name);
  for (const auto axis : {v1::SummarizeIterationsRequest::AXIS_LINEAR,
                          v1::SummarizeIterationsRequest::AXIS_LOGARITHMIC}) {
    v1::SummarizeIterationsRequest request;
    request.set_name(name);
    request.set_bins(7);
    request.set_axis(axis);
    ASSERT_TRUE(Summarize(request).ok());
    EXPECT_EQ(answer_.stored_records(), 51);
    int64_t total = 0;
    for (int k = 0; k < answer_.first_iteration_size(); ++k) {
      const auto first = static_cast<int>(answer_.first_iteration(k));
      const auto count = static_cast<int>(answer_.count(k));
      EXPECT_EQ(first, total);
      total += count;
      const auto begin = records.loss().begin() + first;
      EXPECT_EQ(answer_.loss().first(k), *begin);
      EXPECT_EQ(answer_.loss().last(k), *(begin + count - 1));
      EXPECT_EQ(answer_.loss().min(k), *std::min_element(begin, begin + count));
      EXPECT_EQ(answer_.loss().max(k), *std::max_element(begin, begin + count));
      EXPECT_EQ(answer_.loss().non_finite_count(k), 0);
      EXPECT_EQ(answer_.residual_norm().first(k), records.residual_norm(first));
      const auto rates = records.rate_estimate().begin() + first;
      EXPECT_EQ(answer_.rate_estimate().non_finite_count(k),
                std::count_if(rates, rates + count, [](double rate) { return std::isnan(rate); }));
    }
    EXPECT_EQ(total, 51);
  }
}

TEST_F(SummarizeIterationsTest, ARangeIsCutAtTheLastStoredRecord) {
  const std::string name = Create(kShort, "a");
  Wait(name);
  v1::SummarizeIterationsRequest request;
  request.set_name(name);
  request.set_first_iteration(48);
  request.set_last_iteration(1'000'000);
  ASSERT_TRUE(Summarize(request).ok());
  EXPECT_THAT(answer_.first_iteration(), ElementsAre(48, 49, 50));
  request.set_first_iteration(51);
  ASSERT_TRUE(Summarize(request).ok());
  EXPECT_EQ(answer_.first_iteration_size(), 0);
}

TEST_F(SummarizeIterationsTest, EveryBadFieldIsRefused) {
  v1::SummarizeIterationsRequest request;
  request.set_name("trainingJobs/a");
  request.set_bins(801);
  request.set_first_iteration(-1);
  request.set_last_iteration(-2);
  request.set_axis(static_cast<v1::SummarizeIterationsRequest::Axis>(9));
  EXPECT_THAT(FieldsOf(Summarize(request)),
              UnorderedElementsAre("bins", "first_iteration", "last_iteration", "axis"));
  request.Clear();
  request.set_name("trainingJobs/a");
  EXPECT_EQ(Summarize(request).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(SummarizeIterationsTest, TheLargestAnswerIsUnderAHundredKilobytes) {
  const std::string name = Create(
      "quadratic { spectrum { generated { dimension: 3 condition_number: 10 } } } "
      "optimizer { polyak_momentum {} } stopping { max_iterations: 100000 }",
      "a");
  Wait(name);
  v1::SummarizeIterationsRequest request;
  request.set_name(name);
  request.set_bins(800);
  ASSERT_TRUE(Summarize(request).ok());
  EXPECT_EQ(answer_.first_iteration_size(), 800);
  EXPECT_LT(answer_.ByteSizeLong(), 100'000u);
}

TEST_F(SummarizeIterationsTest, DiagnosticsAreSummarizedWhereAJobHasThem) {
  v1::SummarizeIterationsRequest request;
  request.set_name(Create(kShort, "plain"));
  Wait(request.name());
  request.set_bins(2);
  ASSERT_TRUE(Summarize(request).ok());
  EXPECT_FALSE(answer_.has_condition_number());
  EXPECT_FALSE(answer_.has_distance_from_start());

  request.set_name(Create(absl::StrCat(kShort, " diagnostics_interval: 10"), "diagnosed"));
  Wait(request.name());
  ASSERT_TRUE(Summarize(request).ok());  // of iterations 0 to 50: 0 to 25, 26 to 50 or so
  ASSERT_EQ(answer_.count_size(), 2);
  for (int k = 0; k < 2; ++k) {
    EXPECT_EQ(answer_.smallest_eigenvalue().non_finite_count(k), answer_.count(k) - 3) << k;
    EXPECT_EQ(answer_.flipped_share().non_finite_count(k), answer_.count(k)) << k;
    EXPECT_EQ(answer_.condition_number().min(k),
              answer_.largest_eigenvalue().min(k) / answer_.smallest_eigenvalue().max(k));
    EXPECT_GT(answer_.distance_from_start().max(k), 0);
  }
  EXPECT_EQ(answer_.distance_from_start().first(0), 0);
}

}  // namespace
}  // namespace polyak::service
