#include "server/jobs/jobs.h"

#include <future>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "server/storage/memory_job_store.h"

namespace polyak::jobs {
namespace {

using ::testing::HasSubstr;

constexpr char kShort[] = R"pb(
  quadratic { spectrum { generated { dimension: 3 condition_number: 10 } } }
  optimizer { polyak_momentum {} }
  stopping { max_iterations: 50 })pb";

// Hours of work: ended by the tests themselves.
constexpr char kEndless[] = R"pb(
  quadratic { spectrum { generated { dimension: 20000 condition_number: 1e8 } } }
  optimizer { gradient_descent {} }
  stopping { max_iterations: 10000000 })pb";

v1::TrainingJobSpec Spec(const std::string& text) {
  v1::TrainingJobSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec)) << text;
  return spec;
}

v1::CreateTrainingJobRequest Request(const std::string& spec, const std::string& id = "",
                                     const std::string& request_id = "") {
  v1::CreateTrainingJobRequest request;
  *request.mutable_spec() = Spec(spec);
  request.set_training_job_id(id);
  request.set_request_id(request_id);
  return request;
}

class JobsTest : public ::testing::Test {
 protected:
  explicit JobsTest(int workers = 1, int64_t queue_capacity = 100) {
    options_.workers = workers;
    options_.queue_capacity = queue_capacity;
    jobs_ = std::make_unique<Jobs>(options_, store_, clock_);
  }
  ~JobsTest() override { jobs_->Drain(); }

  using Answer = absl::StatusOr<storage::JobSnapshot>;
  std::future<Answer> Submit(const v1::CreateTrainingJobRequest& request) {
    auto promise = std::make_shared<std::promise<Answer>>();
    jobs_->Create(request, [promise](const Answer& answer) { promise->set_value(answer); });
    return promise->get_future();
  }
  Answer Create(const v1::CreateTrainingJobRequest& request) { return Submit(request).get(); }

  // Blocks until the job looks as wanted: a watcher of the pulse, as the service has them.
  template <typename Predicate>
  storage::JobSnapshot WaitUntil(const std::string& name, Predicate wanted) {
    const auto job = jobs_->Find(name);
    EXPECT_TRUE(job.ok()) << job.status();
    std::promise<storage::JobSnapshot> promise;
    bool told = false;
    const uint64_t number = jobs_->pulse().Add(*job, [&] {
      const storage::JobSnapshot snapshot = (*job)->snapshot();
      if (!told && wanted(*snapshot, (*job)->reader().row_count())) {
        told = true;
        promise.set_value(snapshot);
      }
      return std::numeric_limits<double>::infinity();
    });
    storage::JobSnapshot snapshot = promise.get_future().get();
    jobs_->pulse().Remove(number);
    return snapshot;
  }
  storage::JobSnapshot WaitForEnd(const std::string& name) {
    return WaitUntil(
        name, [](const v1::TrainingJob& job, int64_t /*rows*/) { return job.has_end_time(); });
  }
  storage::JobSnapshot WaitForRows(const std::string& name) {
    return WaitUntil(name, [](const v1::TrainingJob& /*job*/, int64_t rows) { return rows > 0; });
  }

  JobsOptions options_;
  base::SystemClock clock_;
  storage::MemoryJobStore store_{clock_};
  std::unique_ptr<Jobs> jobs_;
};

TEST_F(JobsTest, AJobGoesFromQueuedToSucceeded) {
  const auto job = Create(Request(kShort, "a"));
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ((*job)->name(), "trainingJobs/a");
  EXPECT_EQ((*job)->state(), v1::TrainingJob::STATE_QUEUED);
  EXPECT_EQ((*job)->uid().size(), 36u);
  const auto ended = WaitForEnd("trainingJobs/a");
  EXPECT_EQ(ended->state(), v1::TrainingJob::STATE_SUCCEEDED);
  EXPECT_EQ(ended->summary().iterations(), 50);
  EXPECT_EQ((*jobs_->Find("trainingJobs/a"))->reader().row_count(), 51);
  EXPECT_TRUE(ended->has_start_time());
}

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
  EXPECT_EQ(jobs_->List({})->training_jobs_size(), 1);
}

TEST_F(JobsTest, ARequestIdForAnotherRequestIsRefusedBeforeAndAfterTheFirstIsAnswered) {
  auto first = Submit(Request(kShort, "a", "same"));
  const Answer at_once = Create(Request(kShort, "b", "same"));
  EXPECT_EQ(at_once.status().code(), absl::StatusCode::kAlreadyExists);
  ASSERT_TRUE(first.get().ok());
  EXPECT_EQ(Create(Request(kShort, "b", "same")).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(Create(Request(kShort, "a", "same")).ok());
}

TEST_F(JobsTest, QueuedJobsKnowHowManyAreAheadAndCanBeCancelled) {
  ASSERT_TRUE(Create(Request(kEndless, "running")).ok());
  WaitForRows("trainingJobs/running");
  ASSERT_TRUE(Create(Request(kShort, "first")).ok());
  ASSERT_TRUE(Create(Request(kShort, "second")).ok());
  EXPECT_EQ((*jobs_->Get("trainingJobs/first"))->jobs_ahead(), 0);
  EXPECT_EQ((*jobs_->Get("trainingJobs/second"))->jobs_ahead(), 1);
  const auto cancelled = jobs_->Cancel("trainingJobs/first");
  ASSERT_TRUE(cancelled.ok());
  EXPECT_EQ((*cancelled)->state(), v1::TrainingJob::STATE_CANCELLED);
  EXPECT_EQ((*jobs_->Get("trainingJobs/second"))->jobs_ahead(), 0);
  ASSERT_TRUE(jobs_->Cancel("trainingJobs/running").ok());
  EXPECT_EQ(WaitForEnd("trainingJobs/running")->state(), v1::TrainingJob::STATE_CANCELLED);
  EXPECT_EQ(WaitForEnd("trainingJobs/second")->state(), v1::TrainingJob::STATE_SUCCEEDED);
  // Cancel of an ended job answers it unchanged.
  EXPECT_EQ((*jobs_->Cancel("trainingJobs/second"))->state(), v1::TrainingJob::STATE_SUCCEEDED);
}

TEST_F(JobsTest, AJobOverTheMemoryBudgetNamesTheSizes) {
  auto request = Request(kShort);
  request.mutable_spec()->mutable_stopping()->set_max_iterations(1'000'000'000);
  const Answer answer = Create(request);
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kInvalidArgument) << answer.status();
}

TEST_F(JobsTest, MemoryOfActiveJobsIsReservedAndGivenBack) {
  // 4e9 bytes in all, 2.4e9 for a trace of 1e8 records: one fits, two don't.
  auto request = Request(kEndless, "first");
  request.mutable_spec()->mutable_stopping()->set_max_iterations(100'000'000);
  ASSERT_TRUE(Create(request).ok());
  request.set_training_job_id("second");
  const Answer refused = Create(request);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted) << refused.status();
  ASSERT_TRUE(jobs_->Cancel("trainingJobs/first").ok());
  WaitForEnd("trainingJobs/first");
  EXPECT_TRUE(Create(request).ok());
  EXPECT_TRUE(jobs_->Cancel("trainingJobs/second").ok());
}

TEST_F(JobsTest, PreviewAnswersWithoutAJob) {
  std::promise<absl::StatusOr<v1::PreviewTrainingJobResponse>> promise;
  jobs_->Preview(Spec(kShort), [&promise](const auto& answer) { promise.set_value(answer); });
  const auto preview = promise.get_future().get();
  ASSERT_TRUE(preview.ok()) << preview.status();
  EXPECT_NEAR(preview->resolution().prediction().condition_number(), 10, 1e-12);
  EXPECT_EQ(jobs_->List({})->training_jobs_size(), 0);
}

TEST_F(JobsTest, APageTokenOfAnotherListIsRefused) {
  for (const char* id : {"a", "b", "c"}) {
    ASSERT_TRUE(Create(Request(kShort, id)).ok());
  }
  v1::ListTrainingJobsRequest request;
  request.set_page_size(1);
  const auto first = jobs_->List(request);
  ASSERT_TRUE(first.ok());
  ASSERT_NE(first->next_page_token(), "");
  request.set_page_token(first->next_page_token());
  EXPECT_EQ(jobs_->List(request)->training_jobs(0).name(), "trainingJobs/b");
  request.set_filter("state = \"FAILED\"");
  EXPECT_EQ(jobs_->List(request).status().code(), absl::StatusCode::kInvalidArgument);
  request.set_page_token("7");
  EXPECT_EQ(jobs_->List(request).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(JobsTest, ADeletedJobHasExpiredAndItsIdIsFree) {
  ASSERT_TRUE(Create(Request(kShort, "a")).ok());
  WaitForEnd("trainingJobs/a");
  ASSERT_TRUE(jobs_->Delete("trainingJobs/a").ok());
  EXPECT_THAT(std::string(jobs_->Get("trainingJobs/a").status().message()),
              HasSubstr("was deleted"));
  EXPECT_EQ(jobs_->Delete("trainingJobs/a").code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(Create(Request(kShort, "a")).ok());
}

TEST_F(JobsTest, ADrainLeavesRunningJobsAsTheyAreAndRefusesNewOnes) {
  ASSERT_TRUE(Create(Request(kEndless, "running")).ok());
  WaitForRows("trainingJobs/running");
  jobs_->Drain();
  EXPECT_EQ(Create(Request(kShort)).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(jobs_->CheckHealth());
  const std::shared_ptr<Job> job = *jobs_->Find("trainingJobs/running");
  jobs_.reset();  // joins the workers
  EXPECT_EQ(job->snapshot()->state(), v1::TrainingJob::STATE_RUNNING);
  jobs_ = std::make_unique<Jobs>(options_, store_, clock_);
}

TEST_F(JobsTest, HealthNeedsEveryWorkerToPassItsCanary) {
  // Workers take tasks in order: once a job has ended, the canary before it has.
  ASSERT_TRUE(Create(Request(kShort, "a")).ok());
  WaitForEnd("trainingJobs/a");
  EXPECT_TRUE(jobs_->CheckHealth());
}

class SmallQueueTest : public JobsTest {
 protected:
  SmallQueueTest() : JobsTest(1, 1) {}
};

TEST_F(SmallQueueTest, AFullQueueRefusesAndAPlaceIsFreeAgainAfterACancel) {
  ASSERT_TRUE(Create(Request(kEndless, "running")).ok());
  WaitForRows("trainingJobs/running");
  ASSERT_TRUE(Create(Request(kEndless, "queued")).ok());
  EXPECT_EQ(Create(Request(kShort)).status().code(), absl::StatusCode::kResourceExhausted);
  ASSERT_TRUE(jobs_->Cancel("trainingJobs/queued").ok());
  EXPECT_TRUE(Create(Request(kShort, "last")).ok());
  EXPECT_TRUE(jobs_->Cancel("trainingJobs/running").ok());
  WaitForEnd("trainingJobs/last");
}

}  // namespace
}  // namespace polyak::jobs
