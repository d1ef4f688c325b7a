#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace polyak::engine {

// An activation that is near enough to its kink to be watched.
struct WatchedActivation {
  double due = 0;            // no look before the odometer reads so much
  double preactivation = 0;  // z_ri at the start
  uint32_t row = 0;
  int8_t output = 1;  // a_r
  bool looked_at = false;
};

// The watched activations of one example, in three parts without an order: what is due soon is
// looked through in every iteration and small enough for the first cache; the others are seldom.
class DueQueue {
 public:
  void Add(const WatchedActivation& activation);
  // Moves those that are due to the end of `due`, in no order that anything may depend on.
  //   reading: of the odometer; gain: of its last iteration.
  //   Cost: O(those due soon), and seldom O(those due later), or O(all).
  void TakeDue(double reading, double gain, std::vector<WatchedActivation>& due);
  // All of them, to be changed at will.
  std::vector<WatchedActivation>& Unordered();
  template <typename Visit>
  void ForEach(const Visit& visit) const {
    for (const std::vector<WatchedActivation>* part : {&soon_, &later_, &far_}) {
      for (const WatchedActivation& activation : *part) {
        visit(activation);
      }
    }
  }
  void Reserve(int64_t more) { far_.reserve(far_.size() + static_cast<size_t>(more)); }

 private:
  std::vector<WatchedActivation> soon_;   // due <= soon_end_
  std::vector<WatchedActivation> later_;  // soon_end_ < due <= later_end_
  std::vector<WatchedActivation> far_;
  double soon_end_ = -std::numeric_limits<double>::infinity();
  double later_end_ = -std::numeric_limits<double>::infinity();
};

}  // namespace polyak::engine
