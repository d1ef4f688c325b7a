#include "server/jobs/rebuild.h"

#include <algorithm>
#include <future>
#include <memory>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/time_util.h"
#include "server/base/status_macros.h"
#include "server/jobs/identity.h"
#include "server/spec/parse_names.h"

namespace polyak::jobs {
namespace {

int64_t CreatedAt(const v1::TrainingJob& job) {
  return google::protobuf::util::TimeUtil::TimestampToNanoseconds(job.create_time());
}

// Why a run can't be a job; empty: it can.
std::string WhyNot(const storage::FoundRun& run) {
  if (!run.job.ok()) {
    return std::string{run.job.status().message()};
  }
  if (run.job->uid() != run.uid || !IsUid(run.uid)) {
    return absl::StrCat("its trace is that of the uid '", run.job->uid(), "'");
  }
  spec::Violations violations;
  if (!spec::CheckJobName(run.job->name(), violations)) {
    return absl::StrCat("its job has the name '", run.job->name(), "'");
  }
  return run.job->has_spec() ? "" : "its job has no spec";
}

// Whether `a` goes before `b` of the same name.
bool Precedes(const storage::FoundRun& a, const storage::FoundRun& b) {
  return std::tuple(!a.is_lost, CreatedAt(*a.job)) > std::tuple(!b.is_lost, CreatedAt(*b.job));
}

}  // namespace

RebuildPlan PlanRebuild(std::vector<storage::FoundRun> runs, bool with_lost) {
  RebuildPlan plan;
  std::unordered_map<std::string, storage::FoundRun> by_name;
  for (storage::FoundRun& run : runs) {
    if (run.is_lost && !with_lost) {
      ++plan.lost;
      continue;
    }
    if (std::string why = WhyNot(run); !why.empty()) {
      plan.left_out.push_back({std::move(run), std::move(why)});
      continue;
    }
    const std::string name = run.job->name();
    const auto [same, is_new] = by_name.try_emplace(name, run);
    if (is_new) {
      continue;
    }
    if (Precedes(run, same->second)) {
      std::swap(run, same->second);
    }
    plan.left_out.push_back(
        {std::move(run), absl::StrCat("the name ", name, " is that of ", same->second.uid)});
  }
  for (auto& [name, run] : by_name) {
    plan.restored.push_back(std::move(run));
  }
  std::sort(plan.restored.begin(), plan.restored.end(), [](const auto& a, const auto& b) {
    return std::tuple(CreatedAt(*a.job), a.uid) < std::tuple(CreatedAt(*b.job), b.uid);
  });
  return plan;
}

storage::JobSnapshot InterruptedJob(const v1::TrainingJob& begun) {
  auto job = std::make_shared<v1::TrainingJob>(begun);
  job->set_state(v1::TrainingJob::STATE_RUNNING);
  if (!job->has_start_time()) {
    *job->mutable_start_time() = job->create_time();
  }
  job->clear_end_time();
  job->clear_termination();
  job->clear_summary();
  job->clear_error();
  return job;
}

absl::Status StoreJobs(const RebuildPlan& plan, storage::JobStore& store) {
  std::vector<std::future<absl::Status>> answers;
  for (const storage::FoundRun& run : plan.restored) {
    auto answer = std::make_shared<std::promise<absl::Status>>();
    answers.push_back(answer->get_future());
    store.Insert(InterruptedJob(*run.job), {},
                 [answer](const absl::Status& status) { answer->set_value(status); });
  }
  absl::Status status;
  for (std::future<absl::Status>& answer : answers) {
    status.Update(answer.get());
  }
  return status;
}

}  // namespace polyak::jobs
