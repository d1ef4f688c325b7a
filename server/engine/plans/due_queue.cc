#include "server/engine/plans/due_queue.h"

#include <algorithm>

namespace polyak::engine {
namespace {

// How many iterations a part covers, if the odometer went on as fast: passes over the larger parts
// are rare enough to cost less than the looks.
constexpr double kSoonIterations = 8;
constexpr double kLaterIterations = 96;

// Moves those that are due by `end` from one part to another.
void MoveDue(double end, std::vector<WatchedActivation>& from, std::vector<WatchedActivation>& to) {
  const auto due =
      std::partition(from.begin(), from.end(),
                     [end](const WatchedActivation& activation) { return activation.due > end; });
  to.insert(to.end(), due, from.end());
  from.erase(due, from.end());
}

}  // namespace

void DueQueue::Add(const WatchedActivation& activation) {
  std::vector<WatchedActivation>& part = activation.due <= soon_end_    ? soon_
                                         : activation.due <= later_end_ ? later_
                                                                        : far_;
  part.push_back(activation);
}

void DueQueue::TakeDue(double reading, double gain, std::vector<WatchedActivation>& due) {
  if (reading > later_end_) {
    later_end_ = reading + kLaterIterations * gain;
    MoveDue(later_end_, far_, later_);
  }
  if (reading > soon_end_) {
    soon_end_ = std::min(reading + kSoonIterations * gain, later_end_);
    MoveDue(soon_end_, later_, soon_);
  }
  MoveDue(reading, soon_, due);
}

std::vector<WatchedActivation>& DueQueue::Unordered() {
  for (std::vector<WatchedActivation>* const part : {&soon_, &later_}) {
    far_.insert(far_.end(), part->begin(), part->end());
    part->clear();
  }
  soon_end_ = later_end_ = -std::numeric_limits<double>::infinity();
  return far_;
}

}  // namespace polyak::engine
