#pragma once

#include <functional>

#include "absl/status/status.h"
#include "polyak/v1/training_job.pb.h"
#include "server/base/clock.h"
#include "server/base/stop_token.h"
#include "server/spec/limits.h"
#include "server/storage/run_store.h"

namespace polyak::runner {

// Mends the damaged trace of an ended job: computes all its records again, compares those that are
// whole, and takes the recomputed ones for the others, if they have the checksums that are still
// there and come to the job's summary. A last checkpoint that is damaged is mended on the way.
//   job: ended with a record; whole, with its spec.   stop: gives it up; nothing has happened then.
//   datasets: as spec::Limits::datasets.
//   make_room: called once it is known that nothing but room is wanting, before anything is
//   copied; its error is the answer.
// Errors: FailedPrecondition or DataLoss, with the reason, if there is no repair on this machine;
// Cancelled if it was stopped; Aborted if its data set is damaged; ResourceExhausted, Unavailable
// and others: a later try can help. Cost: as the job itself, and a copy of its trace.
absl::Status Recompute(const v1::TrainingJob& job, storage::RunStore& store,
                       const base::StopToken& stop, const base::Clock& clock,
                       const spec::NamedDatasets* datasets = nullptr,
                       const std::function<absl::Status()>& make_room = {});

}  // namespace polyak::runner
