#pragma once

#include <cstdint>
#include <vector>

namespace polyak::service {

// Edges of at most `bins` bins without gaps over the iterations first .. end - 1: rising, the first
// is `first`, the last `end`, and no bin is empty. No edges (an empty list) where end <= first.

// Bins of equally many iterations, up to one.
std::vector<int64_t> LinearEdges(int64_t first, int64_t end, int bins);
// Bins of equal length on the axis log(1 + t), where that gives them an iteration at all.
std::vector<int64_t> LogarithmicEdges(int64_t first, int64_t end, int bins);

}  // namespace polyak::service
