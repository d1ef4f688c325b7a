#pragma once

#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

namespace polyak::engine {

struct RateEstimate {
  double rate = std::numeric_limits<double>::quiet_NaN();            // contraction of |xi| per iteration
  double standard_error = std::numeric_limits<double>::quiet_NaN();  // of rate; empirical (docs/theory.md, section 6)
  int64_t first_iteration = 0;  // window, inclusive
  int64_t last_iteration = 0;
  std::string_view method;      // static text: "windowed regression", "... with power of t", "window too short", ...
  bool valid() const { return rate == rate; }
};

// Online rate of a residual that may oscillate, grow first, behave like t r^t, and end in rounding noise. Fed with p_t.
class RateEstimator {
 public:
  // floor: values at or below it close the window for good.
  explicit RateEstimator(double floor);
  // p_t for t = 0, 1, 2, ... in order.  Cost: O(1), and a fit whenever t has grown by 1/16.
  void Add(double stacked_norm);
  // Windowed regression on log p_t.  Cost: O(bins), at most 512, times 11 fits.
  RateEstimate Windowed() const;
  RateEstimate PlainLine() const;  // the least-squares line over the same window, without the power of t
  RateEstimate Overall() const;    // (p_T / p_0)^(1/T)
  RateEstimate Quotient() const;   // p_T / p_{T-1}
  // The recorded column: Windowed().rate, refreshed when t has grown by 1/16, held between; NaN before the first.
  double column() const { return column_; }
  double peak_ratio() const { return peak_ / first_value_; }  // largest p_t / p_0
  int64_t peak_iteration() const { return peak_iteration_; }

 private:
  void CloseBin();
  RateEstimate Describe(double slope, double standard_error, int first_bin, std::string_view method) const;

  const double floor_;
  std::vector<double> bins_;  // mean log p over bin_width_ iterations each
  int64_t bin_width_ = 1;
  int64_t in_bin_ = 0;        // values in the bin that is being filled
  double bin_sum_ = 0;
  bool closed_ = false;
  int64_t count_ = 0;         // values seen: t + 1
  int64_t next_refresh_ = 0;  // t of the next refresh of the column
  double column_ = std::numeric_limits<double>::quiet_NaN();
  double first_value_ = 0;
  double value_ = 0;
  double previous_value_ = 0;
  double peak_ = 0;
  int64_t peak_iteration_ = 0;
};

}  // namespace polyak::engine
