#pragma once

namespace polyak::bench {

// What this processor and its memory do at best, as simple loops get it: the limits that kernels
// are measured against. A call takes some hundredths of a second, so that it can take turns with
// what is compared; seconds are those of the wall.
//   threads: that do the same at once, each with data of its own.

// Bytes a second read from memory, by sums over one, four or sixteen streams, the best of them.
double ReadBytesPerSecond(int threads);
// Bytes a second read and written, both counted, where two arrays are moved in place, y = a y + b
// and x -= c y: what becomes of memory and weights.
double UpdateBytesPerSecond(int threads);
// Operations a second of multiplications fused with additions, two each, on registers alone.
double OperationsPerSecond(int threads);

}  // namespace polyak::bench
