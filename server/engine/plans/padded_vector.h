#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "server/base/bytes.h"
#include "server/engine/linalg/lane_kernels.h"
#include "server/engine/linalg/types.h"

namespace polyak::engine {

// A vector as the lane kernels want it: at the beginning of a cache line, with zeros before and
// after it.
class PaddedVector {
 public:
  explicit PaddedVector(Eigen::Index size)
      : size_(size),
        padded_size_((size + kLaneDoubles - 1) / kLaneDoubles * kLaneDoubles),
        storage_(static_cast<size_t>(padded_size_ + 3 * kLaneDoubles)) {}
  explicit PaddedVector(const Vector& values) : PaddedVector(values.size()) {
    std::copy(values.begin(), values.end(), data());
  }

  // Its values would have to move: another storage begins elsewhere in a cache line.
  PaddedVector(const PaddedVector&) = delete;
  PaddedVector& operator=(const PaddedVector&) = delete;

  int64_t padded_size() const { return padded_size_; }  // a multiple of kLaneDoubles
  double* data() { return storage_.data() + Offset(); }
  const double* data() const { return storage_.data() + Offset(); }
  Vector values() const { return Eigen::Map<const Vector>(data(), size_); }

  // As SaveVector and LoadVector do.
  void Save(base::ByteSink& out) const { out.WriteDoubles({data(), static_cast<size_t>(size_)}); }
  void Load(base::ByteSource& in) { in.ReadDoubles({data(), static_cast<size_t>(size_)}); }

 private:
  // Of the first value: at least one zero goes before it.
  size_t Offset() const {
    constexpr uintptr_t kLine = kLaneDoubles * sizeof(double);
    const auto address = reinterpret_cast<uintptr_t>(storage_.data());
    return static_cast<size_t>(kLaneDoubles) + (kLine - address % kLine) % kLine / sizeof(double);
  }

  Eigen::Index size_;
  int64_t padded_size_;
  std::vector<double> storage_;
};

}  // namespace polyak::engine
