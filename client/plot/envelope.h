#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace polyak::plot {

// A curve of any length in bounded memory: per bin of iterations the smallest and largest value. An
// oscillating curve keeps its extent, which a strided or random sample would lose.
class Envelope {
 public:
  struct Bin {
    double smallest;
    double largest;
  };

  explicit Envelope(std::string label) : label_(std::move(label)) {}

  // Iterations must rise. Values that are not finite or not positive are counted, not drawn.  Cost:
  // O(1) amortised.
  void Add(int64_t iteration, double value);

  const std::string& label() const { return label_; }
  // Bin k covers iterations [k bin_width, (k + 1) bin_width). A bin nothing fell into has smallest
  // > largest.
  const std::vector<Bin>& bins() const { return bins_; }
  int64_t bin_width() const { return bin_width_; }
  int64_t last_iteration() const { return last_iteration_; }
  double last_value() const { return last_value_; }
  int64_t undrawable_count() const { return undrawable_count_; }

 private:
  void MergePairs();

  std::string label_;
  std::vector<Bin> bins_;
  int64_t bin_width_ = 1;
  int64_t last_iteration_ = -1;
  double last_value_ = 0;
  int64_t undrawable_count_ = 0;
};

}  // namespace polyak::plot
