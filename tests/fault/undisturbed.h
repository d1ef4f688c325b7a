// What a job comes to when nobody disturbs it, to hold others against.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/integration/watch_support.h"
#include "tests/support/process.h"

namespace polyak {

// Of an ended job, all that does not depend on time.
inline std::string OutcomeOf(v1::TrainingJob job) {
  job.mutable_summary()->clear_training_time();
  return absl::StrCat(v1::TrainingJob::State_Name(job.state()), " ",
                      job.termination().ShortDebugString(), " ", job.summary().SerializeAsString());
}

struct Undisturbed {
  std::string records;  // an IterationBatch
  std::string outcome;
};

// The runs of a server that has nothing else to do, one after the other.
inline std::vector<Undisturbed> RunUndisturbed(const std::vector<std::string>& specs) {
  testing_support::Server server;
  client::Client client = Connect(server.address());
  std::vector<Undisturbed> results;
  for (const std::string& spec : specs) {
    const v1::TrainingJob job = Ended(client, Request(spec));
    EXPECT_EQ(job.state(), v1::TrainingJob::STATE_SUCCEEDED) << job.ShortDebugString();
    results.push_back({ReadAll(client, job.name()).SerializeAsString(), OutcomeOf(job)});
  }
  return results;
}

// Whether a job that was stopped has the first records of one that was not.
inline bool IsPrefix(const std::string& records, const std::string& undisturbed) {
  v1::IterationBatch some;
  v1::IterationBatch all;
  EXPECT_TRUE(some.ParseFromString(records));
  EXPECT_TRUE(all.ParseFromString(undisturbed));
  const int count = some.iteration_size();
  for (auto* column : {all.mutable_loss(), all.mutable_residual_norm(), all.mutable_rate_estimate(),
                       all.mutable_theory_bound()}) {
    column->Truncate(std::min(count, column->size()));
  }
  all.mutable_iteration()->Truncate(std::min(count, all.iteration_size()));
  return all.SerializeAsString() == records;
}

}  // namespace polyak
