#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

namespace polyak::engine {

// Which neuron is active for which example, a bit each: m x n, packed by rows of whole bytes.
class ActivationMask {
 public:
  ActivationMask(int64_t rows, int64_t cols)
      : cols_(cols),
        stride_((cols + 7) / 8),
        bytes_(static_cast<size_t>(rows * stride_ + kReadAhead)) {}

  bool Get(int64_t row, int64_t col) const {
    return ((bytes_[Index(row, col)] >> (col % 8)) & 1) != 0;
  }
  void Flip(int64_t row, int64_t col) {
    bytes_[Index(row, col)] ^= static_cast<uint8_t>(1 << (col % 8));
  }
  // Columns 8 byte .. 8 byte + 7 of a row, the first as the lowest bit. Rows may be written by
  // several threads, each its own.
  void SetByte(int64_t row, int64_t byte, uint8_t bits) {
    bytes_[static_cast<size_t>(row * stride_ + byte)] = bits;
  }
  // Columns 64 word .. 64 word + 63, those beyond the last one 0.
  uint64_t Word(int64_t row, int64_t word) const {
    uint64_t bits = 0;
    std::memcpy(&bits, &bytes_[static_cast<size_t>(row * stride_ + 8 * word)], sizeof(bits));
    const int64_t left = cols_ - 64 * word;
    return left >= 64 ? bits : bits & ((uint64_t{1} << left) - 1);
  }
  int64_t words() const { return (cols_ + 63) / 64; }
  int64_t bytes_per_row() const { return stride_; }

 private:
  static constexpr int64_t kReadAhead = 8;  // Word reads whole words
  size_t Index(int64_t row, int64_t col) const {
    return static_cast<size_t>(row * stride_ + col / 8);
  }

  int64_t cols_;
  int64_t stride_;
  std::vector<uint8_t> bytes_;
};

// Calls visit(column) for every set bit of a row, in ascending order.
template <typename Visit>
void ForEachActive(const ActivationMask& mask, int64_t row, const Visit& visit) {
  for (int64_t word = 0; word < mask.words(); ++word) {
    for (uint64_t bits = mask.Word(row, word); bits != 0; bits &= bits - 1) {
      visit(64 * word + __builtin_ctzll(bits));
    }
  }
}

}  // namespace polyak::engine
