#include "server/runner/known_problems.h"

#include <utility>

namespace polyak::runner {
namespace {

// Each costs who looks a comparison.
constexpr size_t kKnownMax = 16;

}  // namespace

std::vector<KnownProblems::Instance> KnownProblems::quadratics() const {
  std::vector<Instance> alive;
  const base::MutexLock lock(&mutex_);
  for (auto place = quadratics_.rbegin(); place != quadratics_.rend(); ++place) {
    if (auto instance = place->lock()) {
      alive.push_back(std::move(instance));
    }
  }
  return alive;
}

KnownProblems::Instance KnownProblems::AddUnlessKnown(const Instance& instance) {
  const base::MutexLock lock(&mutex_);
  for (const auto& known : quadratics_) {
    Instance other = known.lock();
    if (other != nullptr && engine::HaveSameMatrix(*other, *instance)) {
      if (&other->matrix() == &instance->matrix()) {
        break;
      }
      return other;
    }
  }
  std::erase_if(quadratics_, [&instance](const auto& known) {
    const Instance other = known.lock();
    return other == nullptr || other == instance;
  });
  if (quadratics_.size() == kKnownMax) {
    quadratics_.erase(quadratics_.begin());
  }
  quadratics_.push_back(instance);
  return nullptr;
}

}  // namespace polyak::runner
