// Which jobs a worker takes at once, and what becomes of them.

#include <cstdlib>
#include <future>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/unit/server/jobs/jobs_fixture.h"

namespace polyak::jobs {
namespace {

// DENSE, of a matrix with eigenvalues between 0 and 4 `scale`.
v1::CreateTrainingJobRequest OfMatrix(const std::string& id, int size, const std::string& optimizer,
                                      int64_t iterations, double scale = 1) {
  auto request = Request(absl::StrCat("plan: EXECUTION_PLAN_DENSE optimizer { ", optimizer,
                                      " } stopping { max_iterations: ", iterations, " }"),
                         id);
  v1::Matrix& matrix = *request.mutable_spec()->mutable_quadratic()->mutable_matrix();
  matrix.set_rows(size);
  matrix.set_cols(size);
  for (int i = 0; i < size; ++i) {
    for (int j = 0; j < size; ++j) {
      matrix.add_values(i == j ? 2.5 * scale : (std::abs(i - j) == 1 ? -scale : 0));
    }
  }
  return request;
}
// Longer than any test: 10 us an iteration, so that the records have room.
v1::CreateTrainingJobRequest Endless(const std::string& id, double step_size) {
  return OfMatrix(id, 300, absl::StrCat("gradient_descent { step_size: ", step_size, " }"),
                  10'000'000);
}

class GroupTest : public JobsTest {
 protected:
  void Restart(int workers) {
    options_.workers = workers;
    options_.limits.memory_bytes = 1e15;
    jobs_ = std::make_unique<Jobs>(options_, store_, runs_, clock_);
  }
  // Occupies a worker until it is cancelled.
  void Occupy() {
    ASSERT_TRUE(Create(Request(kEndless, "endless")).ok());
    WaitForRows("trainingJobs/endless");
  }
  void Release() { ASSERT_TRUE(Cancel("trainingJobs/endless").ok()); }
  v1::TrainingJob::State StateOf(const std::string& id) {
    return (*Get("trainingJobs/" + id))->state();
  }
  std::string RecordsOf(const std::string& id) {
    const auto reader = (*Find("trainingJobs/" + id))->reader();
    return testing::PrintToString(reader->Read(0, reader->row_count(), 1)->columns);
  }
  void ExpectRunning(const std::string& id) {
    (void)WaitForRows("trainingJobs/" + id);
    EXPECT_EQ(WaitUntil("trainingJobs/" + id,
                        [](const v1::TrainingJob& job, int64_t /*rows*/) {
                          return job.state() == v1::TrainingJob::STATE_RUNNING;
                        })
                  ->state(),
              v1::TrainingJob::STATE_RUNNING);
  }
  void ExpectCancelled(const std::string& id) {
    ASSERT_TRUE(Cancel("trainingJobs/" + id).ok());
    EXPECT_EQ(WaitForEnd("trainingJobs/" + id)->state(), v1::TrainingJob::STATE_CANCELLED);
  }
};

TEST_F(GroupTest, JobsOfOneMatrixRunAtOnceAndEndOneByOne) {
  Restart(1);
  Occupy();
  ASSERT_TRUE(Create(Endless("a", 0.1)).ok());
  ASSERT_TRUE(Create(Endless("b", 0.2)).ok());
  ASSERT_TRUE(Create(OfMatrix("short", 300, "gradient_descent {}", 500)).ok());
  ASSERT_TRUE(Create(Endless("diverging", 0.7)).ok());
  Release();
  ExpectRunning("a");
  ExpectRunning("b");
  const auto ended = WaitForEnd("trainingJobs/short");  // others go on
  EXPECT_EQ(ended->summary().iterations(), 500);
  EXPECT_EQ(ended->state(), v1::TrainingJob::STATE_SUCCEEDED);
  EXPECT_EQ(WaitForEnd("trainingJobs/diverging")->termination().reason(),
            v1::Termination::REASON_DIVERGED);
  ExpectCancelled("a");
  EXPECT_EQ(StateOf("b"), v1::TrainingJob::STATE_RUNNING);
  ExpectCancelled("b");
}

TEST_F(GroupTest, NoJobIsOvertaken) {
  Restart(1);
  Occupy();
  ASSERT_TRUE(Create(Endless("a", 0.1)).ok());
  ASSERT_TRUE(Create(Endless("b", 0.2)).ok());
  ASSERT_TRUE(Create(Request(kShort, "other")).ok());
  ASSERT_TRUE(Create(Endless("c", 0.3)).ok());
  EXPECT_EQ((*Get("trainingJobs/c"))->jobs_ahead(), 3);
  Release();
  ExpectRunning("a");
  ExpectRunning("b");
  EXPECT_EQ(StateOf("other"), v1::TrainingJob::STATE_QUEUED);
  EXPECT_EQ(StateOf("c"), v1::TrainingJob::STATE_QUEUED);
  EXPECT_EQ((*Get("trainingJobs/other"))->jobs_ahead(), 0);
  EXPECT_EQ((*Get("trainingJobs/c"))->jobs_ahead(), 1);
  ExpectCancelled("a");
  EXPECT_EQ(StateOf("other"), v1::TrainingJob::STATE_QUEUED);
  ExpectCancelled("b");
  EXPECT_EQ(WaitForEnd("trainingJobs/other")->state(), v1::TrainingJob::STATE_SUCCEEDED);
  ExpectRunning("c");
  ExpectCancelled("c");
}

TEST_F(GroupTest, OtherMatricesTimeLimitsAndPlansRunByThemselves) {
  Restart(1);
  Occupy();
  ASSERT_TRUE(Create(Endless("a", 0.1)).ok());
  auto limited = OfMatrix("limited", 300, "gradient_descent {}", 30);
  limited.mutable_spec()->mutable_stopping()->mutable_max_duration()->set_seconds(1000);
  ASSERT_TRUE(Create(limited).ok());
  Release();
  ExpectRunning("a");
  EXPECT_EQ(StateOf("limited"), v1::TrainingJob::STATE_QUEUED);
  ASSERT_TRUE(Create(OfMatrix("scaled", 300, "gradient_descent {}", 30, 2)).ok());
  ExpectCancelled("a");
  EXPECT_EQ(WaitForEnd("trainingJobs/limited")->state(), v1::TrainingJob::STATE_SUCCEEDED);
  EXPECT_EQ(WaitForEnd("trainingJobs/scaled")->state(), v1::TrainingJob::STATE_SUCCEEDED);
}

// Whichever jobs come together, each has the records that it has when it is the only one.
TEST_F(GroupTest, RecordsAreThoseOfJobsRunOneByOne) {
  const auto request = [](const std::string& kind, int k) {
    const std::string id = absl::StrCat(kind, k);
    const std::string step_size = absl::StrCat("step_size: ", 0.02 * (k + 1));
    return k % 2 == 0 ? OfMatrix(id, 30, absl::StrCat("gradient_descent {", step_size, "}"), 40 * k)
                      : OfMatrix(id, 30,
                                 absl::StrCat("nesterov_momentum {", step_size, " momentum: 0.6 }"),
                                 300 + k);
  };
  constexpr int kJobs = 20;
  Restart(2);
  for (int k = 0; k < kJobs; ++k) {
    ASSERT_TRUE(Create(request("alone-", k)).ok());
    (void)WaitForEnd(absl::StrCat("trainingJobs/alone-", k));
  }
  std::vector<std::future<Answer>> answers;
  for (int k = 0; k < kJobs; ++k) {
    answers.push_back(Submit(request("among-", k)));
  }
  for (int k = 0; k < kJobs; ++k) {
    ASSERT_TRUE(answers[static_cast<size_t>(k)].get().ok());
    const auto among = WaitForEnd(absl::StrCat("trainingJobs/among-", k));
    const auto alone = WaitForEnd(absl::StrCat("trainingJobs/alone-", k));
    EXPECT_EQ(among->termination().reason(), alone->termination().reason());
    EXPECT_TRUE(RecordsOf(absl::StrCat("among-", k)) == RecordsOf(absl::StrCat("alone-", k))) << k;
  }
}

TEST_F(GroupTest, ADrainLeavesAllOfThemRunningForTheNextServer) {
  Restart(1);
  Occupy();
  ASSERT_TRUE(Create(Endless("a", 0.1)).ok());
  ASSERT_TRUE(Create(Endless("b", 0.2)).ok());
  Release();
  ExpectRunning("a");
  ExpectRunning("b");
  jobs_.reset();
  const auto unfinished = store_.LoadUnfinished();
  ASSERT_EQ(unfinished->size(), 2U);
  for (const storage::StoredJob& stored : *unfinished) {
    EXPECT_EQ(stored.job->state(), v1::TrainingJob::STATE_RUNNING);
    ASSERT_TRUE(runs_.Remove(stored.job->uid()).ok());  // no process leaves records in memory
  }
  jobs_ = std::make_unique<Jobs>(options_, store_, runs_, clock_);
  EXPECT_EQ(jobs_->Recover().value(), 2);
  ExpectRunning("a");
  ExpectRunning("b");  // with one worker: together again
  ExpectCancelled("b");
  ExpectCancelled("a");
}

}  // namespace
}  // namespace polyak::jobs
