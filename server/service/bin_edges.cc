#include "server/service/bin_edges.h"

#include <algorithm>
#include <cmath>

namespace polyak::service {
namespace {

// place(k): where edge k should be, for k = 0 .. bins; edges that don't rise are left out.
template <typename Place>
std::vector<int64_t> RisingEdges(int64_t first, int64_t end, int bins, Place place) {
  std::vector<int64_t> edges;
  if (end <= first || bins < 1) {
    return edges;
  }
  edges.push_back(first);
  for (int k = 1; k < bins; ++k) {
    const int64_t edge = std::min<int64_t>(place(k), end);
    if (edge > edges.back() && edge < end) {
      edges.push_back(edge);
    }
  }
  edges.push_back(end);
  return edges;
}

}  // namespace

std::vector<int64_t> LinearEdges(int64_t first, int64_t end, int bins) {
  // Whole and rest apart: the product of a length and a bin's number may not fit.
  const int64_t whole = (end - first) / std::max(bins, 1);
  const int64_t rest = (end - first) % std::max(bins, 1);
  return RisingEdges(first, end, bins,
                     [=](int64_t k) { return first + whole * k + rest * k / bins; });
}

std::vector<int64_t> LogarithmicEdges(int64_t first, int64_t end, int bins) {
  const double from = std::log1p(static_cast<double>(first));
  const double length = std::log1p(static_cast<double>(end)) - from;
  return RisingEdges(first, end, bins,
                     [=](int k) { return std::llround(std::expm1(from + length * k / bins)); });
}

}  // namespace polyak::service
