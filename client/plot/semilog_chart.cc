#include "client/plot/semilog_chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace polyak::plot {
namespace {

constexpr int kLabelColumns = 7;  // "1e-308 " is the longest label
constexpr std::array<char, 6> kAsciiMarks = {'*', 'o', '+', 'x', '#', '@'};
// Cyan, yellow, magenta, green, blue, red: readable on dark and light grounds.
constexpr std::array<int, 6> kColors = {36, 33, 35, 32, 34, 31};

// Dots of one chart. Each cell remembers its dots (Braille) and the last curve that drew there.
class Canvas {
 public:
  Canvas(int columns, int rows, Glyphs glyphs)
      : columns_(columns),
        rows_(rows),
        glyphs_(glyphs),
        dots_(static_cast<size_t>(columns) * rows, 0),
        curve_(static_cast<size_t>(columns) * rows, -1) {}

  int dot_columns() const { return glyphs_ == Glyphs::kBraille ? 2 * columns_ : columns_; }
  int dot_rows() const { return glyphs_ == Glyphs::kBraille ? 4 * rows_ : rows_; }

  // x from the left, y from the top, both inside the canvas.
  void Dot(int x, int y, int curve) {
    // Bits of U+2800 by position in the cell: left column 1, 2, 3, 7, right column 4, 5, 6, 8.
    static constexpr int kBits[2][4] = {{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}};
    const bool braille = glyphs_ == Glyphs::kBraille;
    const size_t cell = braille ? static_cast<size_t>(y / 4) * columns_ + x / 2
                                : static_cast<size_t>(y) * columns_ + x;
    dots_[cell] |= braille ? kBits[x % 2][y % 4] : 1;
    curve_[cell] = curve;
  }

  std::string Row(int row, bool color) const {
    std::string line;
    for (int column = 0; column < columns_; ++column) {
      const size_t cell = static_cast<size_t>(row) * columns_ + column;
      if (dots_[cell] == 0) {
        line += ' ';
        continue;
      }
      const auto curve = static_cast<size_t>(curve_[cell]);
      if (color) {
        absl::StrAppend(&line, "\033[", kColors[curve % kColors.size()], "m");
      }
      if (glyphs_ == Glyphs::kBraille) {
        // U+2800 + dots as UTF-8.
        line += '\xe2';
        line += static_cast<char>(0xa0 | (dots_[cell] >> 6));
        line += static_cast<char>(0x80 | (dots_[cell] & 0x3f));
      } else {
        line += kAsciiMarks[curve % kAsciiMarks.size()];
      }
      if (color) {
        line += "\033[0m";
      }
    }
    return line;
  }

 private:
  int columns_;
  int rows_;
  Glyphs glyphs_;
  std::vector<int> dots_;
  std::vector<int> curve_;
};

struct Range {
  double log_smallest = std::numeric_limits<double>::infinity();
  double log_largest = -std::numeric_limits<double>::infinity();
  int64_t iterations = 1;
};

Range RangeOf(std::span<const Envelope> curves) {
  Range range;
  for (const Envelope& curve : curves) {
    range.iterations = std::max(range.iterations, curve.last_iteration());
    for (const Envelope::Bin& bin : curve.bins()) {
      if (bin.smallest <= bin.largest) {
        range.log_smallest = std::min(range.log_smallest, std::log10(bin.smallest));
        range.log_largest = std::max(range.log_largest, std::log10(bin.largest));
      }
    }
  }
  if (range.log_smallest > range.log_largest) {
    range.log_smallest = -1;
    range.log_largest = 0;
  }
  // A flat curve gets half a decade on both sides, so that it does not fill the chart with rounding
  // noise.
  if (range.log_largest - range.log_smallest < 1) {
    const double middle = (range.log_largest + range.log_smallest) / 2;
    range.log_smallest = middle - 0.5;
    range.log_largest = middle + 0.5;
  }
  return range;
}

void DrawCurve(const Envelope& curve, int index, const Range& range, Canvas& canvas) {
  const double x_scale = (canvas.dot_columns() - 1) / static_cast<double>(range.iterations);
  const double y_scale = (canvas.dot_rows() - 1) / (range.log_largest - range.log_smallest);
  const auto row_of = [&](double value) {
    const double row = (range.log_largest - std::log10(value)) * y_scale;
    return std::clamp(static_cast<int>(std::lround(row)), 0, canvas.dot_rows() - 1);
  };
  int previous_low = -1;  // rows of the bin before, to join steep pieces
  int previous_high = -1;
  for (size_t k = 0; k < curve.bins().size(); ++k) {
    const Envelope::Bin& bin = curve.bins()[k];
    if (bin.smallest > bin.largest) {
      continue;
    }
    const double iteration =
        std::min(static_cast<double>(k) * static_cast<double>(curve.bin_width()),
                 static_cast<double>(range.iterations));
    const int x = static_cast<int>(iteration * x_scale);
    int high = row_of(bin.largest);
    int low = row_of(bin.smallest);
    const int own_high = high;
    const int own_low = low;
    if (previous_low >= 0) {
      high = std::min(high, previous_low + 1);
      low = std::max(low, previous_high - 1);
    }
    for (int y = std::max(high, 0); y <= std::min(low, canvas.dot_rows() - 1); ++y) {
      canvas.Dot(x, y, index);
    }
    previous_high = own_high;
    previous_low = own_low;
  }
}

std::string DecadeLabel(int row, int rows, const Range& range) {
  // The decades whose height is nearest to this row; at most one label a row, and at most one every
  // second row.
  const double per_row = (range.log_largest - range.log_smallest) / std::max(rows - 1, 1);
  const int step = std::max(1, static_cast<int>(std::ceil(2 * per_row)));
  const double top = range.log_largest - (row - 0.5) * per_row;
  const double bottom = range.log_largest - (row + 0.5) * per_row;
  for (int decade = static_cast<int>(std::floor(top)); decade > bottom; --decade) {
    if (decade <= top && decade % step == 0) {
      return absl::StrFormat("%*s ", kLabelColumns - 1, absl::StrFormat("1e%d", decade));
    }
  }
  return std::string(kLabelColumns, ' ');
}

std::string Legend(std::span<const Envelope> curves, const ChartOptions& options) {
  std::string text(kLabelColumns + 1, ' ');
  for (size_t k = 0; k < curves.size(); ++k) {
    const std::string mark = options.glyphs == Glyphs::kBraille
                                 ? "\xe2\xa0\xa4\xe2\xa0\xa4"
                                 : std::string(1, kAsciiMarks[k % kAsciiMarks.size()]);
    if (options.color) {
      absl::StrAppend(&text, "\033[", kColors[k % kColors.size()], "m", mark, "\033[0m");
    } else {
      text += mark;
    }
    absl::StrAppend(&text, " ", curves[k].label());
    if (curves[k].last_iteration() >= 0) {
      absl::StrAppendFormat(&text, " %.3g", curves[k].last_value());
    }
    if (curves[k].undrawable_count() > 0) {
      absl::StrAppend(&text, " (", curves[k].undrawable_count(), " zero or not finite)");
    }
    text += "   ";
  }
  while (!text.empty() && text.back() == ' ') {
    text.pop_back();
  }
  return text;
}

}  // namespace

std::string RenderSemilogChart(std::span<const Envelope> curves, const ChartOptions& options) {
  const int columns = std::max(options.width, 30) - kLabelColumns - 1;
  const int rows = std::max(options.height, 8) - 3 - (options.title.empty() ? 0 : 1);
  const Range range = RangeOf(curves);
  Canvas canvas(columns, rows, options.glyphs);
  for (size_t k = 0; k < curves.size(); ++k) {
    DrawCurve(curves[k], static_cast<int>(k), range, canvas);
  }
  const bool ascii = options.glyphs == Glyphs::kAscii;
  std::string text;
  if (!options.title.empty()) {
    absl::StrAppend(&text, std::string(kLabelColumns + 1, ' '), options.title, "\n");
  }
  for (int row = 0; row < rows; ++row) {
    absl::StrAppend(&text, DecadeLabel(row, rows, range), ascii ? "|" : "\xe2\x94\x82",
                    canvas.Row(row, options.color), "\n");
  }
  absl::StrAppend(&text, std::string(kLabelColumns, ' '), ascii ? "+" : "\xe2\x94\x94");
  for (int column = 0; column < columns; ++column) {
    text += ascii ? "-" : "\xe2\x94\x80";
  }
  const std::string last = absl::StrCat(range.iterations);
  const int gap = std::max(columns - 1 - static_cast<int>(last.size()), 1);
  absl::StrAppend(&text, "\n", std::string(kLabelColumns + 1, ' '), "0", std::string(gap, ' '),
                  last, "\n");
  absl::StrAppend(&text, Legend(curves, options), "\n");
  return text;
}

}  // namespace polyak::plot
