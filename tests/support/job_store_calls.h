#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/storage/job_store.h"

namespace polyak::testing_support {

// Waits for the answer of a call that takes a callback.
template <typename Answer, typename Call>
Answer Await(const Call& call) {
  auto promise = std::make_shared<std::promise<Answer>>();
  std::future<Answer> answer = promise->get_future();
  call([promise](Answer value) { promise->set_value(std::move(value)); });
  return answer.get();
}

// The calls of a job store, each until its answer.
class JobStoreCalls {
 public:
  explicit JobStoreCalls(storage::JobStore& store) : store_(store) {}

  absl::Status Insert(const storage::JobSnapshot& job, const storage::RequestKey& key = {}) {
    return Await<absl::Status>([&](auto done) { store_.Insert(job, key, done); });
  }
  absl::Status Update(const storage::JobSnapshot& job) {
    return Await<absl::Status>([&](auto done) { store_.Update(job, done); });
  }
  absl::Status RequestCancel(const std::string& name) {
    return Await<absl::Status>([&](auto done) { store_.RequestCancel(name, done); });
  }
  // The job that has the name now.
  absl::Status Remove(const std::string& name) {
    const auto job = Get(name);
    return Remove(name, job.ok() ? (*job)->uid() : "");
  }
  absl::Status Remove(const std::string& name, const std::string& uid) {
    return Await<absl::Status>([&](auto done) { store_.Remove(name, uid, done); });
  }
  absl::StatusOr<std::string> RemoveDamaged(const std::string& name) {
    return Await<absl::StatusOr<std::string>>([&](auto done) { store_.RemoveDamaged(name, done); });
  }
  absl::StatusOr<storage::JobSnapshot> Get(const std::string& name) {
    return Await<absl::StatusOr<storage::JobSnapshot>>([&](auto done) { store_.Get(name, done); });
  }
  absl::StatusOr<storage::JobSnapshot> FindRequest(const storage::RequestKey& key) {
    return Await<absl::StatusOr<storage::JobSnapshot>>(
        [&](auto done) { store_.FindRequest(key, done); });
  }
  absl::StatusOr<storage::ListResult> List(const storage::ListPage& page) {
    return Await<absl::StatusOr<storage::ListResult>>([&](auto done) { store_.List(page, done); });
  }
  absl::StatusOr<storage::ListResult> ListEnded(int64_t limit) {
    return Await<absl::StatusOr<storage::ListResult>>(
        [&](auto done) { store_.ListEnded(limit, done); });
  }
  absl::StatusOr<storage::DatasetUse> FindDatasetUse(const std::string& dataset) {
    return Await<absl::StatusOr<storage::DatasetUse>>(
        [&](auto done) { store_.FindDatasetUse(dataset, done); });
  }

 private:
  storage::JobStore& store_;
};

inline bool EveryJob(const v1::TrainingJob& /*job*/) { return true; }

inline std::shared_ptr<v1::TrainingJob> MakeJob(const std::string& name,
                                                const std::string& uid = "") {
  auto job = std::make_shared<v1::TrainingJob>();
  job->set_name(name);
  job->set_uid(uid.empty() ? name : uid);
  job->set_state(v1::TrainingJob::STATE_QUEUED);
  return job;
}

// The same, ended so many seconds after the epoch.
inline std::shared_ptr<v1::TrainingJob> MakeEndedJob(const std::string& name, int64_t seconds,
                                                     const std::string& uid = "") {
  auto job = MakeJob(name, uid);
  job->set_state(v1::TrainingJob::STATE_SUCCEEDED);
  job->mutable_end_time()->set_seconds(seconds);
  return job;
}

inline std::vector<std::string> Names(const std::vector<storage::JobSnapshot>& jobs) {
  std::vector<std::string> names;
  for (const storage::JobSnapshot& job : jobs) {
    names.push_back(job->name());
  }
  return names;
}

}  // namespace polyak::testing_support
