#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace polyak::base {

struct FreeMemory {
  void operator()(double* values) const { std::free(values); }
};
using DoubleBuffer = std::unique_ptr<double[], FreeMemory>;

// So many doubles that begin at a cache line, not initialised: pages that are never written are
// never resident. Large ones ask for large pages: a page fault and an address to look up every 2
// MiB and not every 4 KiB.  Throws std::bad_alloc.
DoubleBuffer AllocateDoubles(int64_t count);
// How many bytes it asks for. Any count, which need not fit into memory.
double AllocatedBytes(double count);

}  // namespace polyak::base
