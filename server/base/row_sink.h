#pragma once

#include <span>

namespace polyak::base {

// Takes one row of doubles at a time, in order. Row t belongs to iteration t.
class RowSink {
 public:
  virtual ~RowSink() = default;
  // No lock, no allocation, no I/O, no failure: the caller made room before.
  virtual void Append(std::span<const double> row) noexcept = 0;
};

}  // namespace polyak::base
