#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>

#include "server/engine/trainer/trainer.h"

namespace polyak::engine {

// Trainers in step with each other, at most.
inline constexpr size_t kTogetherMax = 64;

struct TrainerShare {
  Trainer* trainer = nullptr;
  int64_t records = 0;  // at most this many more
  // Set by AdvanceTogether to what was thrown: the trainer is between two records, and must not be
  // used any more.
  std::exception_ptr failure = nullptr;
};

// What trainer->Advance(records) does for each of them, to the bit, in step with each other: the
// products with a matrix that several share are computed at once, a matrix with a matrix. Whoever
// has its records or its end, or fails, stands aside; the others go on.
//   shares: of different trainers, at most kTogetherMax.
// Allocates nothing of its own. Cost: as one by one, less what reading the matrix once for all of
// them saves.
void AdvanceTogether(std::span<TrainerShare> shares);

}  // namespace polyak::engine
