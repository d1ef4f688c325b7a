#pragma once

#include <cstdint>
#include <span>

#include "server/engine/trainer/trainer.h"

namespace polyak::engine {

struct TrainerShare {
  Trainer* trainer = nullptr;
  int64_t records = 0;  // at most this many more
};

// What trainer->Advance(records) does for each of them, to the bit, in step with each other: the
// products with a matrix that several share are computed at once, a matrix with a matrix. Whoever
// has its records or its end stands aside; the others go on.
//   shares: of different trainers.   May throw std::bad_alloc, before the first record.
// Cost: as one by one, less what reading the matrix once for all of them saves.
void AdvanceTogether(std::span<const TrainerShare> shares);

}  // namespace polyak::engine
