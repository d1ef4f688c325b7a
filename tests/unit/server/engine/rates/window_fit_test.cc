#include "server/engine/rates/window_fit.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"

namespace polyak::engine {
namespace {

// Deterministic noise in [-1, 1].
double Noise(int k) { return std::sin(12.9898 * k * k + 78.233 * k); }

// The definition, term by term, with the normal equations in long double.
WindowFit Literal(const std::vector<double>& bins, const BinWindow& window, bool with_power) {
  using Real = long double;
  Real w1 = 0, wx = 0, wq = 0, wy = 0, wxx = 0, wxq = 0, wqq = 0, wxy = 0, wqy = 0, wyy = 0;
  for (int k = window.first; k < window.last; ++k) {
    const Real u = (k - window.first + Real{0.5}) / window.count();
    const Real w = u * (1 - u);
    const Real x = k + Real{0.5};
    const Real q = std::log(x);
    const Real y = bins[static_cast<size_t>(k)];
    w1 += w, wx += w * x, wq += w * q, wy += w * y, wxx += w * x * x, wxq += w * x * q;
    wqq += w * q * q, wxy += w * x * y, wqy += w * q * y, wyy += w * y * y;
  }
  const Real xx = wxx - wx * wx / w1, xq = wxq - wx * wq / w1, qq = wqq - wq * wq / w1;
  const Real xy = wxy - wx * wy / w1, qy = wqy - wq * wy / w1, yy = wyy - wy * wy / w1;
  Real power = with_power ? (xx * qy - xq * xy) / (xx * qq - xq * xq) : 0;
  power = std::min<Real>(1, std::max<Real>(-1, power));
  const Real slope = (xy - power * xq) / xx;
  const Real error = yy + slope * slope * xx + power * power * qq - 2 * slope * xy -
                     2 * power * qy + 2 * slope * power * xq;
  return {static_cast<double>(slope), static_cast<double>(power), static_cast<double>(error)};
}

std::vector<BinWindow> NineWindows(int bins) {
  std::vector<BinWindow> windows;
  for (const double end : {1.0, 0.9, 0.8}) {
    for (const double share : {0.67, 0.8, 0.9}) {
      windows.push_back(LateWindow(bins, share, end));
    }
  }
  return windows;
}

TEST(WindowFit, LateWindowIsTheLastShareOfTheFirstPart) {
  EXPECT_EQ(LateWindow(100, 0.8, 1).first, 20);
  EXPECT_EQ(LateWindow(100, 0.8, 1).last, 100);
  EXPECT_EQ(LateWindow(100, 0.67, 0.9).first, 30);  // 90 (1 - 0.67) = 29.7
  EXPECT_EQ(LateWindow(100, 0.67, 0.9).last, 90);
  EXPECT_EQ(LateWindow(100, 0.67, 0.9).count(), 60);
}

TEST(WindowFit, AllWindowsInOnePassEqualTheDefinitionTermByTerm) {
  for (const int count : {24, 25, 100, 511}) {
    std::vector<double> bins;
    for (int k = 0; k < count; ++k) {
      bins.push_back(250 - 0.6 * k + 0.7 * std::log(k + 0.5) + 0.3 * Noise(k));
    }
    const std::vector<BinWindow> windows = NineWindows(count);
    const WindowFitter fitter(bins, windows);
    for (int w = 0; w < 9; ++w) {
      const WindowFit line = fitter.Line(w);
      const WindowFit curve = fitter.Curve(w);
      const WindowFit literal_line = Literal(bins, windows[static_cast<size_t>(w)], false);
      const WindowFit literal_curve = Literal(bins, windows[static_cast<size_t>(w)], true);
      // Sums of up to 511 terms lose about 511 eps = 1e-13; the power amplifies that by the ratio
      // of the spread of t to that of log t beside t, about 100.
      EXPECT_NEAR(line.slope, literal_line.slope, 1e-12 * std::abs(literal_line.slope));
      EXPECT_NEAR(curve.slope, literal_curve.slope, 1e-10 * std::abs(literal_curve.slope));
      EXPECT_NEAR(curve.power, literal_curve.power, 1e-9);
      EXPECT_NEAR(line.squared_error, literal_line.squared_error, 1e-8);
      EXPECT_NEAR(curve.squared_error, literal_curve.squared_error, 1e-8);
    }
  }
}

TEST(WindowFit, AWindowDoesNotDependOnTheOthersAskedFor) {
  std::vector<double> bins;
  for (int k = 0; k < 300; ++k) {
    bins.push_back(-0.1 * k + Noise(k));
  }
  const BinWindow window = LateWindow(300, 0.8, 0.9);
  const WindowFitter alone(bins, std::span(&window, 1));
  const std::vector<BinWindow> windows = NineWindows(300);
  const WindowFitter among(bins, windows);
  // The same sums, begun at another bin: 300 eps.
  EXPECT_NEAR(alone.Line(0).slope, among.Line(4).slope, 1e-13);
}

TEST(WindowFit, ALineIsFoundToRounding) {
  std::vector<double> bins;
  for (int k = 0; k < 400; ++k) {
    bins.push_back(-300 - 0.35 * (k + 0.5));
  }
  const WindowFitter fitter(bins, NineWindows(400));
  for (int w = 0; w < 9; ++w) {
    EXPECT_NEAR(fitter.Line(w).slope, -0.35, 1e-13);  // 400 eps
    EXPECT_EQ(fitter.Line(w).power, 0);
    EXPECT_NEAR(fitter.Curve(w).slope, -0.35, 1e-11);
    EXPECT_NEAR(fitter.Curve(w).power, 0, 1e-9);
  }
}

TEST(WindowFit, APowerOfTIsFoundToRounding) {
  std::vector<double> bins;
  for (int k = 0; k < 400; ++k) {
    bins.push_back(-0.05 * (k + 0.5) + std::log(k + 0.5));
  }
  const WindowFitter fitter(bins, NineWindows(400));
  for (int w = 0; w < 9; ++w) {
    EXPECT_NEAR(fitter.Curve(w).slope, -0.05, 1e-11);  // as above
    EXPECT_NEAR(fitter.Curve(w).power, 1, 1e-9);
    EXPECT_LT(1e6 * fitter.Curve(w).squared_error, fitter.Line(w).squared_error);
  }
}

TEST(WindowFit, ThePowerIsClippedToOneEitherWay) {
  for (const double power : {-3.0, 3.0}) {
    std::vector<double> bins;
    for (int k = 0; k < 200; ++k) {
      bins.push_back(-0.5 * k + power * std::log(k + 0.5));
    }
    const BinWindow window = LateWindow(200, 0.8, 1);
    EXPECT_EQ(WindowFitter(bins, std::span(&window, 1)).Curve(0).power, power / 3);
  }
}

TEST(WindowFit, ConstantBinsHaveSlopeZeroAndNoPower) {
  const std::vector<double> bins(64, -7.5);
  const BinWindow window = LateWindow(64, 0.8, 1);
  const WindowFitter fitter(bins, std::span(&window, 1));
  EXPECT_EQ(fitter.Line(0).slope, 0);
  EXPECT_EQ(fitter.Curve(0).slope, 0);
  EXPECT_EQ(fitter.Curve(0).power, 0);
}

}  // namespace
}  // namespace polyak::engine
