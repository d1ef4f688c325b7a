// Sums of products that are rounded once where the processor can: the including source defines
// Fused and Broadcast. As for lanes_body.h: no header of the standard library may be included here.

#pragma once

#include "server/engine/linalg/lanes_body.h"

// NOLINTBEGIN(google-build-namespaces,misc-definitions-in-headers)
namespace polyak::engine {
namespace {

// sum += x y, and sum += factor x.
inline void AddFused(const Lanes& x, const Lanes& y, Lanes& sum) {
  for (int p = 0; p < kPieces; ++p) {
    sum.pieces[p] = Fused(x.pieces[p], y.pieces[p], sum.pieces[p]);
  }
}
inline void AddFused(Piece factor, const Lanes& x, Lanes& sum) {
  for (int p = 0; p < kPieces; ++p) {
    sum.pieces[p] = Fused(factor, x.pieces[p], sum.pieces[p]);
  }
}

}  // namespace
}  // namespace polyak::engine
// NOLINTEND(google-build-namespaces,misc-definitions-in-headers)
