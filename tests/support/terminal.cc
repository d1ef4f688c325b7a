#include "tests/support/terminal.h"

#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

namespace polyak::testing_support {
namespace {

// The variables of this process whose names are not set anew, after those that are.
std::vector<std::string> Environment(std::vector<std::string> lines) {
  const size_t added = lines.size();
  for (char** line = environ; *line != nullptr; ++line) {
    const std::string text = *line;
    const std::string name = text.substr(0, text.find('=') + 1);
    if (std::none_of(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(added),
                     [&name](const std::string& set) { return set.rfind(name, 0) == 0; })) {
      lines.push_back(text);
    }
  }
  return lines;
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (const std::string& text : texts) {
    pointers.push_back(const_cast<char*>(text.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

TerminalProcess::TerminalProcess(const std::string& program,
                                 const std::vector<std::string>& arguments,
                                 const std::vector<std::string>& environment, Size size) {
  std::vector<std::string> command = {program};
  command.insert(command.end(), arguments.begin(), arguments.end());
  const std::vector<std::string> variables = Environment(environment);
  const std::vector<char*> argument_list = Pointers(command);
  const std::vector<char*> variable_list = Pointers(variables);
  winsize window = {};
  window.ws_col = static_cast<unsigned short>(size.columns);  // NOLINT(google-runtime-int)
  window.ws_row = static_cast<unsigned short>(size.rows);     // NOLINT(google-runtime-int)
  pid_ = forkpty(&terminal_, nullptr, nullptr, &window);
  if (pid_ < 0) {
    perror("forkpty");
    std::abort();
  }
  if (pid_ == 0) {
    execve(program.c_str(), argument_list.data(), variable_list.data());
    _exit(127);
  }
}

bool TerminalProcess::Available() {
  int terminal = -1;
  int program_side = -1;
  if (openpty(&terminal, &program_side, nullptr, nullptr, nullptr) != 0) {
    return false;
  }
  close(terminal);
  close(program_side);
  return true;
}

TerminalProcess::~TerminalProcess() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(terminal_);
}

bool TerminalProcess::ReadPart() {
  std::array<char, 4096> part;
  // A pseudo-terminal that nobody has open any more answers EIO, not an end of file.
  const ssize_t count = read(terminal_, part.data(), part.size());
  if (count <= 0) {
    return false;
  }
  printed_.append(part.data(), static_cast<size_t>(count));
  return true;
}

bool TerminalProcess::ReadUntil(const std::string& text) {
  while (printed_.find(text) == std::string::npos) {
    if (!ReadPart()) {
      return false;
    }
  }
  return true;
}

int TerminalProcess::ReadToEnd() {
  while (ReadPart()) {
  }
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void TerminalProcess::Type(const std::string& keys) const {
  if (write(terminal_, keys.data(), keys.size()) != static_cast<ssize_t>(keys.size())) {
    perror("write");
    std::abort();
  }
}

}  // namespace polyak::testing_support
