#pragma once

#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "server/base/bytes.h"

namespace polyak::engine {

struct RateEstimate {
  double rate = std::numeric_limits<double>::quiet_NaN();  // contraction of |xi| per iteration
  // Of rate; empirical (docs/theory.md, section 6). NaN where the method has none.
  double standard_error = std::numeric_limits<double>::quiet_NaN();
  int64_t first_iteration = 0;  // window, inclusive
  int64_t last_iteration = 0;
  // Static text: "windowed regression", "windowed regression with a power of t", "plain line",
  // "overall geometric mean", "last quotient", or why there is no rate: "window too short", "too
  // few iterations".
  std::string_view method;
  bool valid() const { return rate == rate; }
};

// Online rate of a residual that may oscillate, grow first, behave like t r^t, and end in rounding
// noise. Fed with p_t = |[xi_t; xi_{t-1}]|. Used by one thread.   Source: docs/theory.md,
// section 6.
class RateEstimator {
 public:
  // floor: the first value at or below it, or not finite, closes the data of the fits for good.
  explicit RateEstimator(double floor);
  // p_t for t = 0, 1, 2, ... in order.  Cost: O(1), and a Windowed() whenever t has grown by 1/16.
  void Add(double stacked_norm);
  // Weighted regression of log p_t over the last 80 % of t. None ("window too short") with fewer
  // than 24 bins, less than 5 nats of decay in the window, or an error above a quarter of the log
  // rate.  Cost: O(bins), a few us.
  RateEstimate Windowed() const;
  // The least-squares line over the same window, without the power of t.  Cost: as Windowed().
  RateEstimate PlainLine() const;
  RateEstimate Overall() const;   // (p_T / p_0)^(1/T), T the last t
  RateEstimate Quotient() const;  // p_T / p_{T-1}
  // The recorded column: Windowed().rate as of t = 23 and whenever t has grown by 1/16, held
  // between; NaN before.
  double column() const { return column_; }
  double peak_ratio() const {
    return peak_ > first_value_ ? peak_ / first_value_ : 1;
  }  // largest p_t / p_0
  int64_t peak_iteration() const { return peak_iteration_; }
  int64_t count() const { return count_; }  // values seen

  // All of it, to the bit, the floor included: at most 512 bins.
  void Save(base::ByteSink& out) const;
  // What Save wrote, in place of what was here.
  // Errors: DataLoss for numbers that no estimator has, or too few bytes; then the estimator must
  // not be used.
  absl::Status Load(base::ByteSource& in);

 private:
  // Whether counts fit one another, as those of every estimator do.
  bool Consistent() const;
  void CloseBin();
  RateEstimate Describe(double slope, double standard_error, int first_bin,
                        std::string_view method) const;

  double floor_;
  std::vector<double> bins_;  // mean log p over bin_width_ iterations each
  int64_t bin_width_ = 1;
  int64_t in_bin_ = 0;  // values in the bin that is being filled
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
