#pragma once

#include <future>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "server/jobs/jobs.h"
#include "server/storage/memory_job_store.h"

namespace polyak::jobs {

inline constexpr char kShort[] = R"pb(
  quadratic { spectrum { generated { dimension: 3 condition_number: 10 } } }
  optimizer { polyak_momentum {} }
  stopping { max_iterations: 50 })pb";

// Hours of work: ended by the tests themselves.
inline constexpr char kEndless[] = R"pb(
  quadratic { spectrum { generated { dimension: 20000 condition_number: 1e8 } } }
  optimizer { gradient_descent {} }
  stopping { max_iterations: 10000000 })pb";

inline v1::TrainingJobSpec Spec(const std::string& text) {
  v1::TrainingJobSpec spec;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &spec)) << text;
  return spec;
}

inline v1::CreateTrainingJobRequest Request(const std::string& spec, const std::string& id = "",
                                            const std::string& request_id = "") {
  v1::CreateTrainingJobRequest request;
  *request.mutable_spec() = Spec(spec);
  request.set_training_job_id(id);
  request.set_request_id(request_id);
  return request;
}

class JobsTest : public ::testing::Test {
 protected:
  explicit JobsTest(int64_t queue_capacity = 100) {
    options_.workers = 1;
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

}  // namespace polyak::jobs
