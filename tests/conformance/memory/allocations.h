#pragma once

#include <cstddef>

namespace polyak::conformance {

// Bytes of this program's heap, counted by a malloc of its own in front of glibc's: what was asked
// for, rounded as glibc does.
size_t AllocatedBytes();
// The most that was allocated at once since ResetPeak.
size_t PeakBytes();
void ResetPeak();

}  // namespace polyak::conformance
