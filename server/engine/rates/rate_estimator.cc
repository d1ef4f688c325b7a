#include "server/engine/rates/rate_estimator.h"

#include <cmath>

#include "server/engine/rates/window_fit.h"

namespace polyak::engine {
namespace {

constexpr size_t kBinsMax = 512;
constexpr size_t kBinsLeast = 24;
constexpr double kShare = 0.8;          // of the bins, from the end: the window
constexpr double kCurvedRatio = 1.5;    // by how much the power of t must cut the error to be believed
constexpr double kDecayLeast = 5;       // nats in the window
constexpr double kErrorShareMax = 0.25;  // of the log rate
constexpr int64_t kFirstRefresh = 32;

}  // namespace

RateEstimator::RateEstimator(double floor) : floor_(floor), next_refresh_(kFirstRefresh) { bins_.reserve(kBinsMax); }

void RateEstimator::Add(double stacked_norm) {
  if (count_ == 0) {
    first_value_ = stacked_norm;
    peak_ = stacked_norm;
  } else if (stacked_norm > peak_) {
    peak_ = stacked_norm;
    peak_iteration_ = count_;
  }
  previous_value_ = value_;
  value_ = stacked_norm;
  const int64_t iteration = count_++;
  if (!closed_) {
    if (!(stacked_norm > floor_) || !std::isfinite(stacked_norm)) {
      closed_ = true;
    } else {
      bin_sum_ += std::log(stacked_norm);
      if (++in_bin_ == bin_width_) {
        CloseBin();
      }
    }
  }
  if (iteration == next_refresh_) {
    next_refresh_ = iteration + iteration / 16;
    if (!closed_) {
      column_ = Windowed().rate;
    }
  }
}

void RateEstimator::CloseBin() {
  bins_.push_back(bin_sum_ / static_cast<double>(bin_width_));
  bin_sum_ = 0;
  in_bin_ = 0;
  if (bins_.size() < kBinsMax) {
    return;
  }
  for (size_t k = 0; k < kBinsMax / 2; ++k) {
    bins_[k] = 0.5 * (bins_[2 * k] + bins_[2 * k + 1]);
  }
  bins_.resize(kBinsMax / 2);
  bin_width_ *= 2;
}

RateEstimate RateEstimator::Describe(double slope, double standard_error, int first_bin,
                                     std::string_view method) const {
  const auto width = static_cast<double>(bin_width_);
  RateEstimate estimate;
  estimate.rate = std::exp(slope / width);
  // From the error of the log rate: d exp(b) = exp(b) db.
  estimate.standard_error = estimate.rate * standard_error / width;
  estimate.first_iteration = first_bin * bin_width_;
  estimate.last_iteration = static_cast<int64_t>(bins_.size()) * bin_width_ - 1;
  estimate.method = method;
  return estimate;
}

RateEstimate RateEstimator::Windowed() const {
  RateEstimate none;
  none.method = "window too short";
  if (bins_.size() < kBinsLeast) {
    return none;
  }
  const WindowFit line = FitWindow(bins_, kShare, 1, false);
  const WindowFit curve = FitWindow(bins_, kShare, 1, true);
  // t r^t curves log p for good; an oscillation only shakes it.
  const bool curved = line.squared_error > kCurvedRatio * curve.squared_error;
  const WindowFit& fit = curved ? curve : line;
  double squares = 0;
  for (const double end : {1.0, 0.9, 0.8}) {
    for (const double share : {0.67, 0.8, 0.9}) {
      const double difference = FitWindow(bins_, share, end, curved).slope - fit.slope;
      squares += difference * difference;
    }
  }
  const double error = std::sqrt(squares / 9) + std::abs(curve.slope - line.slope) / 2 + 0.15 / fit.bins;
  const double decay = -line.slope * line.bins;
  if (!(decay >= kDecayLeast) || !(error <= kErrorShareMax * std::abs(fit.slope))) {
    return none;
  }
  return Describe(fit.slope, error, fit.first_bin,
                  curved ? "windowed regression with a power of t" : "windowed regression");
}

RateEstimate RateEstimator::PlainLine() const {
  RateEstimate none;
  none.method = "window too short";
  if (bins_.size() < kBinsLeast) {
    return none;
  }
  const WindowFit line = FitWindow(bins_, kShare, 1, false);
  return Describe(line.slope, std::numeric_limits<double>::quiet_NaN(), line.first_bin, "plain line");
}

RateEstimate RateEstimator::Overall() const {
  RateEstimate estimate;
  estimate.method = "too few iterations";
  if (count_ >= 2 && first_value_ > 0) {
    estimate.rate = std::pow(value_ / first_value_, 1 / static_cast<double>(count_ - 1));
    estimate.last_iteration = count_ - 1;
    estimate.method = "overall geometric mean";
  }
  return estimate;
}

RateEstimate RateEstimator::Quotient() const {
  RateEstimate estimate;
  estimate.method = "too few iterations";
  if (count_ >= 2) {
    estimate.rate = value_ / previous_value_;
    estimate.first_iteration = count_ - 2;
    estimate.last_iteration = count_ - 1;
    estimate.method = "last quotient";
  }
  return estimate;
}

}  // namespace polyak::engine
