#include "server/engine/plans/due_queue.h"

#include <algorithm>
#include <cmath>

namespace polyak::engine {
namespace {

// How many iterations a part covers, if the odometer went on as fast: passes over the larger parts
// are rare enough to cost less than the looks.
constexpr double kSoonIterations = 8;
constexpr double kLaterIterations = 96;

// A part that covers so many times as many, since the odometer has become slower, is divided anew.
constexpr double kTooMany = 4;

// Moves those that `moves` holds for from one part to another.
template <typename Moves>
void MoveIf(const Moves& moves, std::vector<WatchedActivation>& from,
            std::vector<WatchedActivation>& to) {
  const auto moved = std::partition(
      from.begin(), from.end(),
      [&moves](const WatchedActivation& activation) { return !moves(activation.due); });
  to.insert(to.end(), moved, from.end());
  from.erase(moved, from.end());
  constexpr size_t kFew = 1024;
  if (from.capacity() > 2 * from.size() + kFew) {
    from.shrink_to_fit();  // else all parts together could take thrice the room of their entries
  }
}

// Those that are due by `end`. NaN is no reading.
void MoveDue(double end, std::vector<WatchedActivation>& from, std::vector<WatchedActivation>& to) {
  MoveIf([end](double due) { return due <= end; }, from, to);
}
void MoveOthers(double end, std::vector<WatchedActivation>& from,
                std::vector<WatchedActivation>& to) {
  MoveIf([end](double due) { return !(due <= end); }, from, to);
}

}  // namespace

void DueQueue::Add(const WatchedActivation& activation) {
  std::vector<WatchedActivation>& part = activation.due <= soon_end_    ? soon_
                                         : activation.due <= later_end_ ? later_
                                                                        : far_;
  part.push_back(activation);
}

void DueQueue::TakeDue(double reading, double gain, std::vector<WatchedActivation>& due) {
  const double step = std::isfinite(gain) ? gain : 0.0;
  const double later_end = reading + kLaterIterations * step;
  const double soon_end = reading + kSoonIterations * step;
  if (reading > later_end_) {
    later_end_ = later_end;
    MoveDue(later_end_, far_, later_);
  } else if (later_end_ - reading > kTooMany * kLaterIterations * step) {
    later_end_ = std::max(later_end, soon_end_);
    MoveOthers(later_end_, later_, far_);
  }
  if (reading > soon_end_) {
    soon_end_ = std::min(soon_end, later_end_);
    MoveDue(soon_end_, later_, soon_);
  } else if (soon_end_ - reading > kTooMany * kSoonIterations * step) {
    soon_end_ = soon_end;
    MoveOthers(soon_end_, soon_, later_);
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
