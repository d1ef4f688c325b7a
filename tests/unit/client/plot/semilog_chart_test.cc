#include "client/plot/semilog_chart.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace polyak::plot {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<Envelope> GeometricCurve(double rate, int64_t iterations) {
  std::vector<Envelope> curves;
  curves.emplace_back("loss");
  for (int64_t t = 0; t <= iterations; ++t) {
    curves.back().Add(t, std::pow(rate, static_cast<double>(t)));
  }
  return curves;
}

TEST(SemilogChart, AGeometricSequenceIsAStraightLine) {
  ChartOptions options;
  options.glyphs = Glyphs::kAscii;
  options.width = 8 + 61;
  options.height = 3 + 21;
  const std::string chart = RenderSemilogChart(GeometricCurve(0.9, 600), options);
  const std::vector<std::string> lines = absl::StrSplit(chart, '\n');
  for (int row = 0; row <= 20; ++row) {
    // 60 columns for 20 rows: row k is passed at column 3 k, to half a row's rounding on both
    // sides.
    const size_t first = lines[row].find('*', 8);
    const size_t last = lines[row].rfind('*');
    ASSERT_NE(first, std::string::npos) << chart;
    EXPECT_LE(static_cast<int>(first) - 8, 3 * row + 1) << chart;
    EXPECT_GE(static_cast<int>(last) - 8, 3 * row - 1) << chart;
  }
}

TEST(SemilogChart, LabelsDecadesAndIterations) {
  ChartOptions options;
  options.glyphs = Glyphs::kAscii;
  const std::string chart = RenderSemilogChart(GeometricCurve(0.9, 100), options);
  EXPECT_THAT(chart, HasSubstr("  1e0 |"));
  EXPECT_THAT(chart, HasSubstr(" 1e-4 |"));
  EXPECT_THAT(chart, HasSubstr("100\n"));
}

TEST(SemilogChart, EveryLineFitsTheWidth) {
  ChartOptions options;
  options.width = 60;
  options.height = 12;
  options.title = "quadratic";
  for (const Glyphs glyphs : {Glyphs::kAscii, Glyphs::kBraille}) {
    options.glyphs = glyphs;
    const std::string chart = RenderSemilogChart(GeometricCurve(0.5, 50), options);
    const std::vector<std::string> lines = absl::StrSplit(chart, '\n');
    EXPECT_EQ(lines.size(), 13u);  // 12 and what follows the last line's end
    for (const std::string& line : lines) {
      int columns = 0;
      for (const char byte : line) {
        columns += (static_cast<unsigned char>(byte) & 0xc0) != 0x80;
      }
      EXPECT_LE(columns, 60) << line;
    }
  }
}

TEST(SemilogChart, NothingDrawableIsAnEmptyChartWithALegend) {
  std::vector<Envelope> curves;
  curves.emplace_back("loss");
  curves.back().Add(0, 0);
  ChartOptions options;
  options.glyphs = Glyphs::kAscii;
  const std::string chart = RenderSemilogChart(curves, options);
  EXPECT_THAT(chart, HasSubstr("* loss 0 (1 zero or not finite)"));
}

TEST(SemilogChart, ColorsOnlyWhenAsked) {
  ChartOptions options;
  EXPECT_THAT(RenderSemilogChart(GeometricCurve(0.9, 10), options), Not(HasSubstr("\033")));
  options.color = true;
  EXPECT_THAT(RenderSemilogChart(GeometricCurve(0.9, 10), options), HasSubstr("\033[36m"));
}

}  // namespace
}  // namespace polyak::plot
