#include "server/runner/recompute.h"

#include <memory>
#include <new>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/runner/prepare.h"
#include "server/runner/runner.h"

namespace polyak::runner {
namespace {

absl::Status RecomputePrepared(const PreparedJob& prepared, const v1::TrainingJob& job,
                               storage::RunStore& store, const base::StopToken& stop,
                               const base::Clock& clock) {
  POLYAK_ASSIGN_OR_RETURN(const auto repair, store.OpenRepair(job));
  RunContext context{job.uid(), store, repair->trace(), stop, stop, clock};
  context.replayed = &job.summary();
  POLYAK_ASSIGN_OR_RETURN(const RunResult result, Run(prepared, context));
  if (stop.stop_requested()) {
    return absl::CancelledError("the repair was given up");
  }
  const int64_t records = job.summary().iterations() + 1;
  if (result.records < records) {
    return absl::DataLossError(absl::StrCat("the recomputed run ends after ", result.records,
                                            " records, and the job had ", records));
  }
  return repair->Commit();
}

// Not for good: a data set that is damaged can be sent again.
absl::Status ForNow(const absl::Status& status) {
  return absl::IsDataLoss(status) ? absl::AbortedError(std::string{status.message()}) : status;
}

}  // namespace

absl::Status Recompute(const v1::TrainingJob& job, storage::RunStore& store,
                       const base::StopToken& stop, const base::Clock& clock,
                       const spec::NamedDatasets* datasets,
                       const std::function<absl::Status()>& make_room) {
  POLYAK_RETURN_IF_ERROR(ForNow(CheckNamedDataset(job.spec(), datasets)));
  auto spec = AcceptedSpec(job.spec(), datasets);
  if (!spec.has_value()) {
    return absl::FailedPreconditionError("this version does not accept its spec any more");
  }
  KeepPlan(job, *spec);
  std::shared_ptr<const PreparedJob> prepared;
  spec::Violations violations;
  try {
    POLYAK_RETURN_IF_ERROR(ForNow(LoadData(*spec)));
    prepared = Prepare(*spec, violations);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("the machine ran out of memory");
  }
  if (!violations.empty()) {
    return absl::FailedPreconditionError("this version does not accept its spec any more");
  }
  POLYAK_RETURN_IF_ERROR(store.CheckRepairable(job));
  if (make_room) {
    POLYAK_RETURN_IF_ERROR(make_room());
  }
  return RecomputePrepared(*prepared, job, store, stop, clock);
}

}  // namespace polyak::runner
