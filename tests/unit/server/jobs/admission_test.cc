#include "gmock/gmock.h"
#include "tests/unit/server/jobs/jobs_fixture.h"

namespace polyak::jobs {
namespace {

TEST_F(JobsTest, ASecondJobOfTheSameIdIsRefused) {
  ASSERT_TRUE(Create(Request(kShort, "a")).ok());
  EXPECT_EQ(Create(Request(kShort, "a")).status().code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(JobsTest, RequestsOfOneIdAtTheSameMomentMakeOneJob) {
  std::vector<std::future<Answer>> answers;
  for (int k = 0; k < 20; ++k) {
    answers.push_back(Submit(Request(kShort, "", "same")));
  }
  const Answer first = answers[0].get();
  ASSERT_TRUE(first.ok()) << first.status();
  for (size_t k = 1; k < answers.size(); ++k) {
    const Answer other = answers[k].get();
    ASSERT_TRUE(other.ok()) << other.status();
    EXPECT_EQ((*other)->uid(), (*first)->uid());
  }
  EXPECT_EQ(List({})->training_jobs_size(), 1);
}

TEST_F(JobsTest, ARequestIdForAnotherRequestIsRefusedBeforeAndAfterTheFirstIsAnswered) {
  auto first = Submit(Request(kShort, "a", "same"));
  const Answer at_once = Create(Request(kShort, "b", "same"));
  EXPECT_EQ(at_once.status().code(), absl::StatusCode::kAlreadyExists);
  ASSERT_TRUE(first.get().ok());
  EXPECT_EQ(Create(Request(kShort, "b", "same")).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(Create(Request(kShort, "a", "same")).ok());
}

TEST_F(JobsTest, AJobOverTheMemoryBudgetNamesTheSizes) {
  auto request = Request(kShort);
  request.mutable_spec()->mutable_stopping()->set_max_iterations(1'000'000'000);
  const Answer answer = Create(request);
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kInvalidArgument) << answer.status();
}

TEST_F(JobsTest, AJobOverTheMemoryBudgetIsRefusedWithARequestIdToo) {
  auto request = Request(kShort, "", "once");
  request.mutable_spec()->mutable_stopping()->set_max_iterations(1'000'000'000);
  EXPECT_EQ(Create(request).status().code(), absl::StatusCode::kInvalidArgument);
  // Neither the request id nor a place in the queue is taken by what was refused.
  request.mutable_spec()->mutable_stopping()->set_max_iterations(10);
  EXPECT_TRUE(Create(request).ok());
}

TEST_F(JobsTest, MemoryOfActiveJobsIsReservedAndGivenBack) {
  // 4e9 bytes in all, 2.4e9 for a trace of 1e8 records: one fits, two don't.
  auto request = Request(kEndless, "first");
  request.mutable_spec()->mutable_stopping()->set_max_iterations(100'000'000);
  ASSERT_TRUE(Create(request).ok());
  request.set_training_job_id("second");
  const Answer refused = Create(request);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted) << refused.status();
  ASSERT_TRUE(Cancel("trainingJobs/first").ok());
  WaitForEnd("trainingJobs/first");
  EXPECT_TRUE(Create(request).ok());
  EXPECT_TRUE(Cancel("trainingJobs/second").ok());
}

TEST_F(JobsTest, AnEndedJobHoldsNoMoreThanItsRecordsAndItsForm) {
  // A server with room for a few networks of this size, none of which has an iteration to do.
  options_.limits.memory_bytes = 1e7;
  jobs_ = std::make_unique<Jobs>(options_, store_, runs_, clock_);
  auto request = Request(R"pb(
    relu_network {
      dataset { synthetic { examples: 2 input_dimension: 2 } }
      width: 20000
    }
    optimizer { polyak_momentum {} }
    stopping { max_iterations: 0 })pb");
  const auto needed = [&] {
    std::promise<double> bytes;
    jobs_->Preview(request.spec(), [&](const auto& answer) {
      bytes.set_value(answer.ok() ? answer->forecast().memory_bytes() : -1);
    });
    return bytes.get_future().get();
  }();
  ASSERT_GT(needed, 0);
  // More of them than would fit at once, one after another.
  for (int k = 0; k < 3 + static_cast<int>(options_.limits.memory_bytes / needed); ++k) {
    const Answer job = Create(request);
    ASSERT_TRUE(job.ok()) << job.status();
    WaitForEnd((*job)->name());
  }
}

TEST_F(JobsTest, ARefusalNamesWhatOnlyEigenvaluesShowBesideTheRest) {
  auto request = Request(R"pb(
    quadratic {
      matrix {
        rows: 2
        cols: 2
        values: [ 1, 2, 2, 1 ]
      }
    }
    optimizer { gradient_descent {} }
    stopping { relative_loss: 2 })pb");
  request.set_training_job_id("Bad");
  const absl::Status refused = Create(request).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), ::testing::HasSubstr("3 fields"));
  std::promise<absl::Status> preview;
  jobs_->Preview(request.spec(), [&](const auto& answer) { preview.set_value(answer.status()); });
  EXPECT_THAT(std::string(preview.get_future().get().message()), ::testing::HasSubstr("2 fields"));
}

TEST_F(JobsTest, PreviewAnswersWithoutAJob) {
  std::promise<absl::StatusOr<v1::PreviewTrainingJobResponse>> promise;
  jobs_->Preview(Spec(kShort), [&promise](const auto& answer) { promise.set_value(answer); });
  const auto preview = promise.get_future().get();
  ASSERT_TRUE(preview.ok()) << preview.status();
  EXPECT_NEAR(preview->resolution().prediction().condition_number(), 10, 1e-12);
  EXPECT_EQ(List({})->training_jobs_size(), 0);
}

class SmallQueueTest : public JobsTest {
 protected:
  SmallQueueTest() : JobsTest(1) {}
};

TEST_F(SmallQueueTest, AFullQueueRefusesAndAPlaceIsFreeAgainAfterACancel) {
  ASSERT_TRUE(Create(Request(kEndless, "running")).ok());
  WaitForRows("trainingJobs/running");
  ASSERT_TRUE(Create(Request(kEndless, "queued")).ok());
  EXPECT_EQ(Create(Request(kShort)).status().code(), absl::StatusCode::kResourceExhausted);
  ASSERT_TRUE(Cancel("trainingJobs/queued").ok());
  EXPECT_TRUE(Create(Request(kShort, "last")).ok());
  EXPECT_TRUE(Cancel("trainingJobs/running").ok());
  WaitForEnd("trainingJobs/last");
}

}  // namespace
}  // namespace polyak::jobs
