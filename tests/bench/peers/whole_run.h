#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "server/engine/linalg/types.h"
#include "server/runner/prepare.h"
#include "server/spec/experiment_spec.h"

namespace polyak::bench {

// What the programs that script/bench-peers drives have in common.

// A spec under Polyak's momentum with the theorem's parameters.
spec::ExperimentSpec PolyakRun(engine::ProblemSpec problem, engine::ExecutionPlan plan,
                               int64_t iterations);

// Of a spec that can be run.
std::shared_ptr<const runner::PreparedJob> Prepared(const spec::ExperimentSpec& spec);

// Appended to the file at `path`: doubles as they are in memory, column by column.
void WriteValues(const std::string& path, const Eigen::Ref<const engine::Matrix>& values);

// Says {} on standard output, which means that the case's files are there, then answers each line
// "PLAN ITERATIONS" of standard input by one whole run, from the spec to the last record. PLAN is
// AUTO, REDUCED or DENSE. The answer is a line of JSON:
//
//   {"plan": NAME, "prepare": [WALL, PROCESSOR], "train": [WALL, PROCESSOR],
//    "losses": [[ITERATION, LOSS], ...], "flipped": SHARE}
//
// in seconds, of the wall and of all threads: `prepare` up to the stepper, whose making is part of
// it, `train` from there. The losses are those of iterations up to 1,000, of powers of two, and of
// the last one. SHARE is of activations, at the end; null where there are none.
void AnswerRuns(
    const std::function<spec::ExperimentSpec(engine::ExecutionPlan, int64_t iterations)>& run);

}  // namespace polyak::bench
