#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace polyak::testing_support {

// A real program on a pseudo-terminal of its own: what it prints is what a person would see, with
// its escapes.
class TerminalProcess {
 public:
  // Whether this machine has pseudo-terminals.
  static bool Available();
  struct Size {
    int columns = 80;
    int rows = 24;
  };
  // environment: NAME=VALUE lines that go before the test's own of the same names.
  TerminalProcess(const std::string& program, const std::vector<std::string>& arguments,
                  const std::vector<std::string>& environment, Size size);
  ~TerminalProcess();  // kills what still runs
  TerminalProcess(const TerminalProcess&) = delete;
  TerminalProcess& operator=(const TerminalProcess&) = delete;

  // Reads until `text` has been printed, or to the end. Returns whether it was.
  bool ReadUntil(const std::string& text);
  // Reads to the end and waits for it. Returns the exit code, or 128 + the signal that ended it.
  int ReadToEnd();
  // Types: "\x03" is Ctrl-C.
  void Type(const std::string& keys) const;
  // All that was printed so far; lines end with "\r\n".
  const std::string& printed() const { return printed_; }

 private:
  bool ReadPart();

  pid_t pid_ = -1;
  int terminal_ = -1;
  std::string printed_;
};

}  // namespace polyak::testing_support
