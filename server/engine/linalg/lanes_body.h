// Eight doubles at a time, in registers of the width that the source which includes this has chosen
// as kPieceBytes. As for lane_kernels_body.h: no header of the standard library may be included
// here, and each source has code of its own.

#pragma once

#include "server/engine/linalg/lane_kernels.h"

// NOLINTBEGIN(google-build-namespaces,misc-definitions-in-headers)
namespace polyak::engine {
namespace {

constexpr int64_t kLanes = kLaneDoubles;
constexpr int kPanelLanes = kPanelColumns / kLanes;

// One register of the width at hand.
using Piece [[gnu::vector_size(kPieceBytes)]] = double;
using LoosePiece [[gnu::vector_size(kPieceBytes), gnu::aligned(8), gnu::may_alias]] = double;
constexpr int kPieceLanes = kPieceBytes / 8;
constexpr int kPieces = kLanes / kPieceLanes;

// Eight doubles in as many registers as they take.
struct Lanes {
  Piece pieces[kPieces];
  double operator[](int k) const { return pieces[k / kPieceLanes][k % kPieceLanes]; }
};

inline Lanes Load(const double* values) {
  Lanes lanes;
  for (int p = 0; p < kPieces; ++p) {
    lanes.pieces[p] = *reinterpret_cast<const LoosePiece*>(values + p * kPieceLanes);
  }
  return lanes;
}
inline void Store(const Lanes& lanes, double* values) {
  for (int p = 0; p < kPieces; ++p) {
    *reinterpret_cast<LoosePiece*>(values + p * kPieceLanes) = lanes.pieces[p];
  }
}
// sum += factor x, rounded twice.
inline void Add(double factor, const Lanes& x, Lanes& sum) {
  for (int p = 0; p < kPieces; ++p) {
    sum.pieces[p] += factor * x.pieces[p];
  }
}
inline void Subtract(double factor, const Lanes& x, Lanes& sum) {
  for (int p = 0; p < kPieces; ++p) {
    sum.pieces[p] -= factor * x.pieces[p];
  }
}
inline void AddProductOf(const Lanes& x, const Lanes& y, Lanes& sum) {
  for (int p = 0; p < kPieces; ++p) {
    sum.pieces[p] += x.pieces[p] * y.pieces[p];
  }
}
inline void Scale(double factor, Lanes& x) {
  for (int p = 0; p < kPieces; ++p) {
    x.pieces[p] *= factor;
  }
}

// The sum of eight lanes, always in this order.
inline double SumOf(const Lanes& x) {
  return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]));
}

}  // namespace
}  // namespace polyak::engine
// NOLINTEND(google-build-namespaces,misc-definitions-in-headers)
