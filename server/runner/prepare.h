#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "polyak/v1/training_service.pb.h"
#include "server/runner/known_problems.h"
#include "server/spec/experiment_spec.h"
#include "server/spec/limits.h"
#include "server/spec/violations.h"

namespace polyak::runner {

// A job with everything decided before its first iteration. Immutable.
struct PreparedJob {
  spec::ExperimentSpec spec;
  engine::Experiment experiment;
  engine::TheoryResolution theory;
  engine::PlanChoice plan;
  v1::Resolution resolution;
  std::vector<std::string> warnings;
};

// A record in a trace, in bytes: more of a job with diagnostics.
double RecordBytes(const spec::ExperimentSpec& spec);

// What a job costs, from its spec alone: nothing is allocated.
v1::Forecast ForecastCost(const spec::ExperimentSpec& spec);

// A job keeps the plan that it was given, whatever this version would choose for its spec.
void KeepPlan(const v1::TrainingJob& job, spec::ExperimentSpec& spec);

// Whether the data set that a spec names is there in vain, which no field of the spec is to blame
// for: before the spec is parsed.
//   datasets: as spec::Limits::datasets.   Errors: as spec::NamedDatasets::CheckUsable.
absl::Status CheckNamedDataset(const v1::TrainingJobSpec& spec,
                               const spec::NamedDatasets* datasets);

// Reads the data that a spec names into it: what Prepare would do, but an error of the disk is told
// from one of the spec. The data set that is named stays as long as the spec or a copy of it.
//   Errors: those of engine::StoredDataSpec::load.   May throw std::bad_alloc.
absl::Status LoadData(spec::ExperimentSpec& spec);

// Draws the data, computes the spectrum, chooses parameters and plan. What can't be done is a
// violation of the field that makes it impossible: an indefinite matrix, a singular one with
// parameters left to theory, a plan that is not there. Cost: O(d^3) or O(n^3), and one pass over
// the neurons under ASYMPTOTIC.
//   known: if not null, what is computed for one matrix serves all jobs that have it at a time; the
//   result is the same to the bit.
std::shared_ptr<const PreparedJob> Prepare(const spec::ExperimentSpec& spec,
                                           spec::Violations& violations,
                                           KnownProblems* known = nullptr);

// A spec that was accepted once, whatever the limits of the server were then; nothing if this
// version does not accept it any more.
//   datasets: as spec::Limits::datasets.
std::optional<spec::ExperimentSpec> AcceptedSpec(const v1::TrainingJobSpec& spec,
                                                 const spec::NamedDatasets* datasets);

// The linearised dynamics of an accepted spec, data drawn anew: not available for a quadratic of
// more than dimension_max, where engine::Linearize has none, nor for a spec that this version does
// not accept any more.
// May throw std::bad_alloc.  Cost: Instantiate and engine::Linearize.
engine::LinearizedStart LinearizeJob(const v1::TrainingJobSpec& spec,
                                     const spec::NamedDatasets* datasets, int64_t dimension_max);

// The forecast with the iterations that the predicted rate implies.
v1::Forecast ForecastRun(const PreparedJob& job);

}  // namespace polyak::runner
