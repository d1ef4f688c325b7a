#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/storage/found_runs.h"
#include "server/storage/job_store.h"

namespace polyak::jobs {

// Which of the runs that were found become jobs again, and why the others don't.
struct RebuildPlan {
  struct LeftOut {
    storage::FoundRun run;
    std::string why;
  };
  std::vector<storage::FoundRun> restored;  // in the order of their creation
  std::vector<LeftOut> left_out;
  int64_t lost = 0;  // in the folder `lost`, and not asked for
};
// Runs whose trace says a job that could be one of ours. Of several of one name, which follow upon
// a deletion, the one that is not lost, then the newest, is restored.
//   with_lost: those of the folder `lost` as well.
RebuildPlan PlanRebuild(std::vector<storage::FoundRun> runs, bool with_lost);

// A job as a server left it that was killed while it ran: what a trace knows of it.
storage::JobSnapshot InterruptedJob(const v1::TrainingJob& begun);

// Stores the jobs of a plan, and waits until they are durable.  Errors: of the store.
absl::Status StoreJobs(const RebuildPlan& plan, storage::JobStore& store);

}  // namespace polyak::jobs
