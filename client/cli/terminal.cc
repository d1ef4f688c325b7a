#include "client/cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace polyak::cli {
namespace {

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool WantColor(bool is_terminal, bool no_color) {
  if (no_color || !Environment("NO_COLOR").empty()) {
    return false;
  }
  if (const std::string force = Environment("CLICOLOR_FORCE"); !force.empty() && force != "0") {
    return true;
  }
  return is_terminal && Environment("TERM") != "dumb" && Environment("CLICOLOR") != "0";
}

}  // namespace

plot::Glyphs ChooseGlyphs(std::string_view wish, std::string_view locale, std::string_view term) {
  if (wish == "braille") {
    return plot::Glyphs::kBraille;
  }
  if (wish == "ascii") {
    return plot::Glyphs::kAscii;
  }
  const std::string lower = absl::AsciiStrToLower(std::string(locale));
  const bool utf8 = absl::StrContains(lower, "utf-8") || absl::StrContains(lower, "utf8");
  return utf8 && term != "linux" && term != "dumb" ? plot::Glyphs::kBraille : plot::Glyphs::kAscii;
}

Terminal DetectTerminal(std::string_view glyphs, bool no_color) {
  Terminal terminal;
  // One that can move its cursor: a live chart is drawn over itself.
  const std::string term = Environment("TERM");
  terminal.output_is_terminal = isatty(STDOUT_FILENO) != 0 && !term.empty() && term != "dumb";
  terminal.errors_are_terminal = isatty(STDERR_FILENO) != 0;
  terminal.color = WantColor(terminal.output_is_terminal, no_color);
  std::string locale = Environment("LC_ALL");
  if (locale.empty()) {
    locale = Environment("LC_CTYPE");
  }
  if (locale.empty()) {
    locale = Environment("LANG");
  }
  terminal.glyphs = ChooseGlyphs(glyphs, locale, term);
  winsize size = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
    terminal.width = size.ws_col;
    terminal.height = size.ws_row;
  }
  return terminal;
}

}  // namespace polyak::cli
