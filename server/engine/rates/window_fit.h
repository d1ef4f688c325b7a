#pragma once

#include <array>
#include <span>

namespace polyak::engine {

// A run of bins, first .. last - 1.
struct BinWindow {
  int first = 0;
  int last = 0;
  int count() const { return last - first; }
};

// The last `share` of the first `end` of `bins` bins.
//   share, end: in (0, 1].
BinWindow LateWindow(int bins, double share, double end);

// log p ~ a + slope t + power log t, t counted in bins.
struct WindowFit {
  double slope = 0;          // per bin
  double power = 0;          // of t, in [-1, 1]; 0 for a plain line
  double squared_error = 0;  // weighted sum; no smaller than the rounding of the data
};

// Weighted least squares over several windows of one sequence of bins, with weights u (1 - u), u in
// (0, 1) the position in the window. One pass over the bins serves all windows: the weights are
// polynomials in t, so every window's sums are differences of the same running moments.   Source:
// docs/theory.md, section 6, item 2.
class WindowFitter {
 public:
  static constexpr int kWindowsMax = 9;
  static constexpr int kBinsMax = 1024;
  // bins: mean log p each, at most kBinsMax, all finite.   windows: at most kWindowsMax, of at
  // least 4 bins each, inside bins. Cost: O(bins), about 2 us for 512.
  WindowFitter(std::span<const double> bins, std::span<const BinWindow> windows);
  // The fit on (1, t).   window: its place in `windows`.   Cost: O(1), as for Curve.
  WindowFit Line(int window) const;
  // The fit on (1, t, log t).
  WindowFit Curve(int window) const;

 private:
  // log t, log p, their squares and product; one place unused, for alignment.
  enum Function : int { kQ = 0, kY = 1, kQQ = 2, kQY = 3, kYY = 4, kFunctions = 6 };
  // Sums of z^k f over the bins before a boundary, z in [-1, 1] the position among all bins.
  using Moments = std::array<std::array<double, kFunctions>, 4>;
  // Weighted sums over a window, the constant eliminated: x is z from the window's middle.
  struct Normal {
    double xx = 0;
    double xq = 0;
    double qq = 0;
    double xy = 0;
    double qy = 0;
    double yy = 0;
  };

  Normal Reduce(const BinWindow& window, const Moments& before_first,
                const Moments& before_last) const;
  WindowFit Solve(const Normal& sums, double power) const;

  const double half_;  // of the number of bins
  std::array<Normal, kWindowsMax> normals_;
};

}  // namespace polyak::engine
