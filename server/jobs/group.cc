#include "server/jobs/group.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/runner/stepped_run.h"
#include "server/storage/sha256.h"

namespace polyak::jobs {

std::string GroupKey(const v1::TrainingJob& job) {
  const v1::TrainingJobSpec& spec = job.spec();
  if (job.resolution().plan() != v1::EXECUTION_PLAN_DENSE || !spec.has_quadratic() ||
      spec.stopping().has_max_duration()) {
    return "";
  }
  const v1::QuadraticProblem& quadratic = spec.quadratic();
  if (quadratic.has_matrix()) {
    return storage::Sha256(absl::StrCat("matrix", quadratic.matrix().SerializeAsString()));
  }
  if (quadratic.has_least_squares()) {
    const v1::Dataset& data = quadratic.least_squares().dataset();
    const bool drawn = data.has_synthetic() && !data.synthetic().has_seed();
    return storage::Sha256(absl::StrCat("least squares", drawn ? job.resolution().seed() : 0, " ",
                                        quadratic.least_squares().SerializeAsString()));
  }
  return "";
}

int64_t GroupSize(int64_t alike, int64_t other_workers) {
  const int64_t share = (alike + other_workers) / (other_workers + 1);
  return std::clamp<int64_t>(share, 1, runner::kGroupMax);
}

int64_t GroupMax(int64_t descriptors, int workers) {
  constexpr int64_t kShare = 4;
  return std::clamp<int64_t>(descriptors / kShare / workers, 1, runner::kGroupMax);
}

}  // namespace polyak::jobs
