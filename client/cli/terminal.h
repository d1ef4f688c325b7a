#pragma once

#include <string>
#include <string_view>

#include "client/plot/semilog_chart.h"

namespace polyak::cli {

// What the standard streams can show, asked once at start.
struct Terminal {
  bool output_is_terminal = false;   // stdout
  bool errors_are_terminal = false;  // stderr
  bool color = false;  // of stdout: NO_COLOR, CLICOLOR, CLICOLOR_FORCE, TERM=dumb respected
  plot::Glyphs glyphs = plot::Glyphs::kBraille;
  int width = 80;
  int height = 24;
};

// glyphs: auto, braille or ascii (checked by the flag); auto takes Braille in a UTF-8 locale unless
// TERM is linux or dumb.
Terminal DetectTerminal(std::string_view glyphs, bool no_color);

// The rule behind it, on values: for tests.
//   locale: the first non-empty of LC_ALL, LC_CTYPE, LANG.
plot::Glyphs ChooseGlyphs(std::string_view wish, std::string_view locale, std::string_view term);

}  // namespace polyak::cli
