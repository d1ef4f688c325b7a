#pragma once

#include <span>
#include <string>

#include "client/plot/envelope.h"

namespace polyak::plot {

enum class Glyphs { kBraille, kAscii };

struct ChartOptions {
  int width = 80;   // columns of the terminal, labels included; at least 30
  int height = 20;  // rows, axis and legend included; at least 8
  Glyphs glyphs = Glyphs::kBraille;
  bool color = false;  // ANSI 16-colour escapes, one colour per curve
  std::string title;
};

// A chart of curves over iterations, the value axis logarithmic with a label at each drawn decade,
// as lines of text, each ended by '\n'. Curves that hold nothing drawable appear in the legend
// alone.
//   Braille cells have 2 x 4 dots; ASCII draws curve k with the k-th of "*o+x#@".
// Cost: O(bins + width height).
std::string RenderSemilogChart(std::span<const Envelope> curves, const ChartOptions& options);

}  // namespace polyak::plot
