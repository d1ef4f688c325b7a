#include "client/plot/envelope.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace polyak::plot {
namespace {

constexpr size_t kBinsMax = 4096;  // more than twice the dots of any terminal's width
constexpr Envelope::Bin kEmptyBin = {std::numeric_limits<double>::infinity(),
                                     -std::numeric_limits<double>::infinity()};

}  // namespace

void Envelope::Add(int64_t iteration, double value) {
  last_iteration_ = iteration;
  last_value_ = value;
  if (!std::isfinite(value) || value <= 0) {
    ++undrawable_count_;
    return;
  }
  while (iteration / bin_width_ >= static_cast<int64_t>(kBinsMax)) {
    MergePairs();
  }
  const auto index = static_cast<size_t>(iteration / bin_width_);
  if (index >= bins_.size()) {
    bins_.resize(index + 1, kEmptyBin);
  }
  bins_[index].smallest = std::min(bins_[index].smallest, value);
  bins_[index].largest = std::max(bins_[index].largest, value);
}

void Envelope::MergePairs() {
  std::vector<Bin> merged((bins_.size() + 1) / 2, kEmptyBin);
  for (size_t i = 0; i < bins_.size(); ++i) {
    merged[i / 2].smallest = std::min(merged[i / 2].smallest, bins_[i].smallest);
    merged[i / 2].largest = std::max(merged[i / 2].largest, bins_[i].largest);
  }
  bins_ = std::move(merged);
  bin_width_ *= 2;
}

}  // namespace polyak::plot
