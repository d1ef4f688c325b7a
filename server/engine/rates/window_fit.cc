#include "server/engine/rates/window_fit.h"

#include <algorithm>
#include <cmath>

#include "server/base/check.h"

namespace polyak::engine {
namespace {

constexpr int kBoundariesMax = 2 * WindowFitter::kWindowsMax;
// Relative rounding of the moments of up to 1,024 terms, with room: what is left of an exact line
// must not decide between two models.
constexpr double kRounding = 1e-13;

// log(k + 1/2), so that a fit takes no logarithm of its own.
const std::array<double, WindowFitter::kBinsMax>& LogTable() {
  static const std::array<double, WindowFitter::kBinsMax> table = [] {
    std::array<double, WindowFitter::kBinsMax> values{};
    for (size_t k = 0; k < values.size(); ++k) {
      values[k] = std::log(static_cast<double>(k) + 0.5);
    }
    return values;
  }();
  return table;
}

}  // namespace

BinWindow LateWindow(int bins, double share, double end) {
  const int last = static_cast<int>(std::lround(bins * end));
  return {static_cast<int>(std::lround(last * (1 - share))), last};
}

WindowFitter::WindowFitter(std::span<const double> bins, std::span<const BinWindow> windows)
    : half_(0.5 * static_cast<double>(bins.size())) {
  POLYAK_CHECK(windows.size() <= kWindowsMax && bins.size() <= kBinsMax);
  std::array<int, kBoundariesMax> boundaries{};
  size_t count = 0;
  for (const BinWindow& window : windows) {
    boundaries[count++] = window.first;
    boundaries[count++] = window.last;
  }
  std::sort(boundaries.begin(), boundaries.begin() + count);
  const auto end = std::unique(boundaries.begin(), boundaries.begin() + count);

  const std::array<double, kBinsMax>& logs = LogTable();
  // Centred on the middle, so that the sums lose nothing to a large common value.
  const size_t middle = bins.size() / 2;
  const double middle_y = bins[middle];
  const double middle_q = logs[middle];
  std::array<Moments, kBoundariesMax> at{};
  Moments sums{};
  int bin = *boundaries.begin();
  for (auto boundary = boundaries.begin(); boundary != end; ++boundary) {
    for (; bin < *boundary; ++bin) {
      const double z = (bin + 0.5) / half_ - 1;
      const double q = logs[static_cast<size_t>(bin)] - middle_q;
      const double y = bins[static_cast<size_t>(bin)] - middle_y;
      std::array<double, kFunctions> terms = {q, y, q * q, q * y, y * y, 0};
      for (size_t power = 0; power < sums.size(); ++power) {
        for (size_t f = 0; f < kFunctions; ++f) {
          sums[power][f] += terms[f];
          terms[f] *= z;
        }
      }
    }
    at[static_cast<size_t>(boundary - boundaries.begin())] = sums;
  }
  const auto moments = [&](int boundary) -> const Moments& {
    return at[static_cast<size_t>(std::lower_bound(boundaries.begin(), end, boundary) -
                                  boundaries.begin())];
  };
  for (size_t k = 0; k < windows.size(); ++k) {
    normals_[k] = Reduce(windows[k], moments(windows[k].first), moments(windows[k].last));
  }
}

WindowFitter::Normal WindowFitter::Reduce(const BinWindow& window, const Moments& before_first,
                                          const Moments& before_last) const {
  const double from = window.first / half_ - 1;
  const double to = window.last / half_ - 1;
  const double length = to - from;
  const double middle = 0.5 * (from + to);
  const auto moment = [&](int power, Function f) {
    const auto k = static_cast<size_t>(power);
    return before_last[k][f] - before_first[k][f];
  };
  // sum of w z^power f with w = u (1 - u) = (z - from)(to - z) / length^2.
  const auto weighted = [&](int power, Function f) {
    return (-moment(power + 2, f) + (from + to) * moment(power + 1, f) -
            from * to * moment(power, f)) /
           (length * length);
  };
  const double q = weighted(0, kQ);
  const double y = weighted(0, kY);
  // Of the weights alone, with v = u - 1/2 at the middles of c bins: sum v^2 = (c^2 - 1) / (12 c),
  // sum v^4 = (3 c^4 - 10 c^2 + 7) / (240 c^3), w = 1/4 - v^2. That of w x is 0 by symmetry.
  const auto c = static_cast<double>(window.count());
  const double v2 = (c * c - 1) / (12 * c);
  const double v4 = (3 * c * c * c * c - 10 * c * c + 7) / (240 * c * c * c);
  const double weight = c / 4 - v2;
  Normal normal;
  normal.xx = length * length * (v2 / 4 - v4);
  normal.xq = weighted(1, kQ) - middle * q;
  normal.xy = weighted(1, kY) - middle * y;
  normal.qq = weighted(0, kQQ) - q * q / weight;
  normal.qy = weighted(0, kQY) - q * y / weight;
  normal.yy = weighted(0, kYY) - y * y / weight;
  return normal;
}

WindowFit WindowFitter::Solve(const Normal& sums, double power) const {
  const double slope = (sums.xy - power * sums.xq) / sums.xx;
  const double error = sums.yy + slope * slope * sums.xx + power * power * sums.qq -
                       2 * slope * sums.xy - 2 * power * sums.qy + 2 * slope * power * sums.xq;
  return {slope / half_, power, std::max(error, kRounding * sums.yy)};
}

WindowFit WindowFitter::Line(int window) const {
  return Solve(normals_[static_cast<size_t>(window)], 0);
}

WindowFit WindowFitter::Curve(int window) const {
  const Normal& sums = normals_[static_cast<size_t>(window)];
  const double determinant = sums.xx * sums.qq - sums.xq * sums.xq;
  const double power = (sums.xx * sums.qy - sums.xq * sums.xy) / determinant;
  return Solve(sums, std::isnan(power) ? 0 : std::clamp(power, -1.0, 1.0));
}

}  // namespace polyak::engine
