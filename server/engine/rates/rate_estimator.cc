#include "server/engine/rates/rate_estimator.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "server/engine/rates/window_fit.h"

namespace polyak::engine {
namespace {

constexpr size_t kBinsMax = 512;
constexpr int kBinsLeast = 24;
constexpr int64_t kCountMax = int64_t{1} << 50;  // of values: more than a machine can see
constexpr double kShare = 0.8;                   // of the bins, from the end: the window
constexpr double kCurvedRatio =
    1.5;                           // by how much the power of t must cut the error to be believed
constexpr double kDecayLeast = 5;  // nats in the window
constexpr double kErrorShareMax = 0.25;  // of the log rate
// What the fits on shorter, longer and earlier windows disagree by is the error that the data admit
// to.
constexpr std::array<double, 3> kEnds = {1.0, 0.9, 0.8};
constexpr std::array<double, 3> kShares = {kShare, 0.67, 0.9};
constexpr int kSubWindows = 9;
constexpr int kWindow = 0;  // of them: kShare up to the last bin

RateEstimate None(std::string_view method) {
  RateEstimate none;
  none.method = method;
  return none;
}

}  // namespace

RateEstimator::RateEstimator(double floor) : floor_(floor), next_refresh_(kBinsLeast - 1) {
  bins_.reserve(kBinsMax);
}

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
    next_refresh_ = iteration + (iteration + 15) / 16;
    column_ = Windowed().rate;
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
  // From the error of the log rate b: d exp(b) = exp(b) db.
  estimate.standard_error = estimate.rate * standard_error / width;
  estimate.first_iteration = first_bin * bin_width_;
  estimate.last_iteration = static_cast<int64_t>(bins_.size()) * bin_width_ - 1;
  estimate.method = method;
  return estimate;
}

RateEstimate RateEstimator::Windowed() const {
  const int bins = static_cast<int>(bins_.size());
  if (bins < kBinsLeast) {
    return None("window too short");
  }
  std::array<BinWindow, kSubWindows> windows;
  size_t count = 0;
  for (const double end : kEnds) {
    for (const double share : kShares) {
      windows[count++] = LateWindow(bins, share, end);
    }
  }
  const WindowFitter fitter(bins_, windows);
  const WindowFit line = fitter.Line(kWindow);
  const WindowFit curve = fitter.Curve(kWindow);
  // t r^t bends log p the same way throughout; an oscillation only shakes it.
  const bool curved = line.squared_error > kCurvedRatio * curve.squared_error;
  const WindowFit& fit = curved ? curve : line;
  double squares = 0;
  for (int window = 0; window < kSubWindows; ++window) {
    const WindowFit sub = curved ? fitter.Curve(window) : fitter.Line(window);
    squares += (sub.slope - fit.slope) * (sub.slope - fit.slope);
  }
  const int length = windows[kWindow].count();
  const double error =
      std::sqrt(squares / kSubWindows) + std::abs(curve.slope - line.slope) / 2 + 0.15 / length;
  const double decay = -line.slope * length;
  if (!(decay >= kDecayLeast) || !(error <= kErrorShareMax * std::abs(fit.slope))) {
    return None("window too short");
  }
  return Describe(fit.slope, error, windows[kWindow].first,
                  curved ? "windowed regression with a power of t" : "windowed regression");
}

RateEstimate RateEstimator::PlainLine() const {
  const int bins = static_cast<int>(bins_.size());
  if (bins < kBinsLeast) {
    return None("window too short");
  }
  const BinWindow window = LateWindow(bins, kShare, 1);
  const WindowFitter fitter(bins_, std::span(&window, 1));
  // The textbook error of a line covers the truth in at most half of the cases: no number is
  // better.
  return Describe(fitter.Line(0).slope, std::numeric_limits<double>::quiet_NaN(), window.first,
                  "plain line");
}

RateEstimate RateEstimator::Overall() const {
  const int64_t steps = count_ - 1;
  if (steps < 1 || !(first_value_ > 0)) {
    return None("too few iterations");
  }
  RateEstimate estimate;
  // By logarithms: the quotient itself may leave the normal numbers.
  estimate.rate =
      std::exp((std::log(value_) - std::log(first_value_)) / static_cast<double>(steps));
  estimate.last_iteration = steps;
  estimate.method = "overall geometric mean";
  return estimate;
}

RateEstimate RateEstimator::Quotient() const {
  if (count_ < 2 || !(previous_value_ > 0)) {
    return None("too few iterations");
  }
  RateEstimate estimate;
  estimate.rate = value_ / previous_value_;
  estimate.first_iteration = count_ - 2;
  estimate.last_iteration = count_ - 1;
  estimate.method = "last quotient";
  return estimate;
}

void RateEstimator::Save(base::ByteSink& out) const {
  out.WriteDouble(floor_);
  out.WriteDoubles(bins_);
  out.WriteInt(bin_width_);
  out.WriteInt(in_bin_);
  out.WriteDouble(bin_sum_);
  out.WriteInt(closed_ ? 1 : 0);
  out.WriteInt(count_);
  out.WriteInt(next_refresh_);
  out.WriteDouble(column_);
  out.WriteDouble(first_value_);
  out.WriteDouble(value_);
  out.WriteDouble(previous_value_);
  out.WriteDouble(peak_);
  out.WriteInt(peak_iteration_);
}

absl::Status RateEstimator::Load(base::ByteSource& in) {
  floor_ = in.ReadDouble();
  bins_.resize(static_cast<size_t>(in.ReadIntWithin(0, kBinsMax - 1)));
  for (double& bin : bins_) {
    bin = in.ReadDouble();
  }
  bin_width_ = in.ReadIntWithin(1, kCountMax);
  in_bin_ = in.ReadIntWithin(0, kCountMax);
  bin_sum_ = in.ReadDouble();
  closed_ = in.ReadIntWithin(0, 1) == 1;
  count_ = in.ReadIntWithin(0, kCountMax);
  next_refresh_ = in.ReadIntWithin(0, 2 * kCountMax);
  column_ = in.ReadDouble();
  first_value_ = in.ReadDouble();
  value_ = in.ReadDouble();
  previous_value_ = in.ReadDouble();
  peak_ = in.ReadDouble();
  peak_iteration_ = in.ReadIntWithin(0, kCountMax);
  if (in.status().ok() && !Consistent()) {
    in.Fail(absl::DataLossError("the rate estimator of a saved state counts what can't be"));
  }
  return in.status();
}

bool RateEstimator::Consistent() const {
  const int64_t binned = static_cast<int64_t>(bins_.size()) * bin_width_ + in_bin_;
  const bool binned_all = closed_ ? binned <= count_ : binned == count_;
  const bool numbers =
      std::isfinite(bin_sum_) &&
      std::all_of(bins_.begin(), bins_.end(), [](double y) { return std::isfinite(y); });
  return binned_all && numbers && std::has_single_bit(static_cast<uint64_t>(bin_width_)) &&
         in_bin_ < bin_width_ && next_refresh_ >= count_ && peak_iteration_ <= count_;
}

}  // namespace polyak::engine
