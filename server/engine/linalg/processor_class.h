#pragma once

#include <cstdint>
#include <string>

namespace polyak::engine {

// On what the bits of a build's results depend, beside the build: two machines with the same name
// give the same bits. "x86-64-v3, glibc 2.36, caches 32 and 512 KiB".
//
// The engine is compiled for the oldest processors of its architecture, and so its own instructions
// give the same bits on all of them. Three things look at the processor when they
// run: the C library, which has several versions of log, exp and pow and picks one by the
// instructions there are (its version counts, too: it is not part of the build); Eigen, which
// cuts the sums of a matrix product into pieces that fit the caches; and the TileKernels, which
// fuse multiplications with additions on x86-64-v3 and on nothing else.
std::string ProcessorClass();

// The floating-point control word of this thread: rounding, flushing of subnormals, masks; without
// the flags of what happened. Everything runs under the same one: 0x1f80 on x86-64.
int64_t FloatControl();

}  // namespace polyak::engine
