#pragma once

#include <future>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "server/base/clock.h"
#include "server/engine/trainer/trainer.h"
#include "server/jobs/jobs.h"
#include "server/storage/catalogue/sqlite_job_store.h"
#include "server/storage/file_run_store.h"

namespace polyak::jobs {

// One life of a server without its port: from the opening of its directory to its end. Everything
// it keeps is on `files`.
class OneLife {
 public:
  using Answer = absl::StatusOr<storage::JobSnapshot>;
  // Wraps the catalogue, to plant a fault in it.
  using Wrap =
      std::function<std::unique_ptr<storage::JobStore>(storage::JobStore&, storage::RunStore&)>;

  //   options: of everything but the number of workers, which is one.
  //   disk_bytes: as FileRunStore's.
  explicit OneLife(base::FileSystem& files, const Wrap& wrap = nullptr,
                   JobsOptions options = JobsOptions(),
                   std::optional<int64_t> disk_bytes = std::nullopt) {
    EXPECT_TRUE(files.CreateDirectory(kDirectory).ok());
    EXPECT_TRUE(files.SyncDirectory("/").ok());
    storage::FileRunStore::Options runs;
    runs.columns = engine::kTraceColumns;
    runs.diagnostic_columns = engine::kDiagnosticColumns;
    runs.disk_bytes = disk_bytes;
    auto opened_runs = storage::FileRunStore::Open(files, kDirectory, runs);
    EXPECT_TRUE(opened_runs.ok()) << opened_runs.status();
    runs_ = *std::move(opened_runs);
    storage::SqliteJobStore::Options catalogue;
    catalogue.directory = kDirectory;
    auto opened = storage::SqliteJobStore::Open(files, clock_, catalogue);
    EXPECT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
    if (wrap) {
      wrapped_ = wrap(*store_, *runs_);
    }
    options.workers = 1;
    jobs_ =
        std::make_unique<Jobs>(options, wrapped_ == nullptr ? *store_ : *wrapped_, *runs_, clock_);
    const auto recovered = jobs_->Recover();
    EXPECT_TRUE(recovered.ok()) << recovered.status();
  }
  ~OneLife() { jobs_->Drain(); }

  Answer Create(const std::string& spec, const std::string& id) {
    v1::CreateTrainingJobRequest request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(spec, request.mutable_spec()));
    request.set_training_job_id(id);
    request.set_request_id(id);
    return Await<Answer>([&](auto done) { jobs_->Create(request, done); });
  }
  Answer Get(const std::string& id) {
    return Await<Answer>([&](auto done) { jobs_->Get(absl::StrCat("trainingJobs/", id), done); });
  }
  Answer Cancel(const std::string& id) {
    return Await<Answer>(
        [&](auto done) { jobs_->Cancel(absl::StrCat("trainingJobs/", id), done); });
  }
  absl::Status Delete(const std::string& id) {
    return Await<absl::Status>(
        [&](auto done) { jobs_->Delete(absl::StrCat("trainingJobs/", id), done); });
  }
  using Found = absl::StatusOr<std::shared_ptr<Job>>;
  Found Find(const std::string& id) {
    return Await<Found>([&](auto done) { jobs_->Find(absl::StrCat("trainingJobs/", id), done); });
  }
  // The final iterate.
  absl::StatusOr<std::vector<double>> Parameters(const std::string& id) {
    using Opened = absl::StatusOr<runner::FinalParameters>;
    Opened opened = Await<Opened>([&](auto done) {
      jobs_->OpenParameters(absl::StrCat("trainingJobs/", id), kParametersMax, done);
    });
    if (!opened.ok()) {
      return opened.status();
    }
    std::vector<double> values;
    for (int64_t k = 0; k < opened->dimension; ++k) {
      values.push_back(opened->values->ReadDouble());
    }
    const absl::Status read = opened->CheckAll();
    return read.ok() ? absl::StatusOr<std::vector<double>>(std::move(values)) : read;
  }
  // The job in its final form.
  storage::JobSnapshot WaitForEnd(const std::shared_ptr<Job>& job) {
    std::promise<storage::JobSnapshot> promise;
    bool told = false;
    const uint64_t number = jobs_->pulse().Add(job, [&] {
      if (!told && job->ended()) {
        told = true;
        promise.set_value(job->snapshot());
      }
      return std::numeric_limits<double>::infinity();
    });
    storage::JobSnapshot ended = promise.get_future().get();
    jobs_->pulse().Remove(number);
    return ended;
  }
  // Every record of a job, as bytes.
  static absl::StatusOr<std::string> Records(const Job& job) {
    const auto trace = job.reader();
    const auto columns = trace->Read(0, trace->row_count(), 1);
    if (!columns.ok()) {
      return columns.status();
    }
    std::string bytes;
    for (const auto& column : columns->columns) {
      bytes.append(reinterpret_cast<const char*>(column.data()), column.size() * sizeof(double));
    }
    return bytes;
  }

  storage::RunStore& runs() { return *runs_; }

 private:
  static constexpr char kDirectory[] = "/data";
  static constexpr int64_t kParametersMax = 1'000'000;

  template <typename Result>
  static Result Await(const std::function<void(std::function<void(Result)>)>& call) {
    auto promise = std::make_shared<std::promise<Result>>();
    call([promise](Result result) { promise->set_value(std::move(result)); });
    return promise->get_future().get();
  }

  base::SystemClock clock_;
  std::unique_ptr<storage::FileRunStore> runs_;
  std::unique_ptr<storage::SqliteJobStore> store_;
  std::unique_ptr<storage::JobStore> wrapped_;
  std::unique_ptr<Jobs> jobs_;
};

}  // namespace polyak::jobs
