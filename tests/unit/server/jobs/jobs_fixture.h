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
#include "server/storage/memory_run_store.h"

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
    jobs_ = std::make_unique<Jobs>(options_, store_, runs_, clock_);
  }
  ~JobsTest() override { jobs_->Drain(); }

  using Answer = absl::StatusOr<storage::JobSnapshot>;
  std::future<Answer> Submit(const v1::CreateTrainingJobRequest& request) {
    auto promise = std::make_shared<std::promise<Answer>>();
    jobs_->Create(request, [promise](const Answer& answer) { promise->set_value(answer); });
    return promise->get_future();
  }
  Answer Create(const v1::CreateTrainingJobRequest& request) { return Submit(request).get(); }

  // The answers of calls that answer by a callback.
  Answer Get(const std::string& name) {
    std::promise<Answer> promise;
    jobs_->Get(name, [&promise](const Answer& answer) { promise.set_value(answer); });
    return promise.get_future().get();
  }
  Answer Cancel(const std::string& name) {
    std::promise<Answer> promise;
    jobs_->Cancel(name, [&promise](const Answer& answer) { promise.set_value(answer); });
    return promise.get_future().get();
  }
  absl::Status Delete(const std::string& name) {
    std::promise<absl::Status> promise;
    jobs_->Delete(name, [&promise](const absl::Status& status) { promise.set_value(status); });
    return promise.get_future().get();
  }
  using Found = absl::StatusOr<std::shared_ptr<Job>>;
  Found Find(const std::string& name) {
    std::promise<Found> promise;
    jobs_->Find(name, [&promise](const Found& job) { promise.set_value(job); });
    return promise.get_future().get();
  }
  using Page = absl::StatusOr<v1::ListTrainingJobsResponse>;
  Page List(const v1::ListTrainingJobsRequest& request) {
    std::promise<Page> promise;
    jobs_->List(request, [&promise](const Page& page) { promise.set_value(page); });
    return promise.get_future().get();
  }

  // Blocks until the job looks as wanted: a watcher of the pulse, as the service has them.
  template <typename Predicate>
  storage::JobSnapshot WaitUntil(const std::string& name, Predicate wanted) {
    const auto job = Find(name);
    EXPECT_TRUE(job.ok()) << job.status();
    std::promise<storage::JobSnapshot> promise;
    bool told = false;
    const uint64_t number = jobs_->pulse().Add(*job, [&] {
      const storage::JobSnapshot snapshot = (*job)->snapshot();
      if (!told && wanted(*snapshot, (*job)->reader()->row_count())) {
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
  // All of them, as text to compare.
  std::string RecordsOf(const std::string& id) {
    const auto reader = (*Find("trainingJobs/" + id))->reader();
    return testing::PrintToString(reader->Read(0, reader->row_count(), 1)->columns);
  }

  JobsOptions options_;
  base::SystemClock clock_;
  storage::MemoryJobStore store_{clock_};
  storage::MemoryRunStore runs_{engine::kTraceColumns, engine::kDiagnosticColumns};
  std::unique_ptr<Jobs> jobs_;
};

}  // namespace polyak::jobs
