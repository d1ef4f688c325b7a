#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace polyak::testing_support {

// A real program, run as a child: its standard output can be read, its standard error goes to a
// file.
class Process {
 public:
  // program: a path.  environment: NAME=VALUE lines added to the test's own.
  Process(const std::string& program, const std::vector<std::string>& arguments,
          const std::vector<std::string>& environment = {});
  ~Process();  // kills what still runs
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Next line of standard output without its end; empty at the end of the file.
  std::string ReadLine();
  // All of standard output from here on. Blocks until the program closes it.
  std::string ReadAll();
  void Signal(int signal) const;
  // Waits for the end. Returns the exit code, or 128 + the signal that ended it.
  int Wait();
  // What it wrote to standard error so far.
  std::string Errors() const;
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  int output_ = -1;
  std::string buffer_;
  std::string errors_path_;
};

// Runs a program to its end.
struct Outcome {
  int exit_code = 0;
  std::string output;
  std::string errors;
};
Outcome RunProgram(const std::string& program, const std::vector<std::string>& arguments,
                   const std::vector<std::string>& environment = {}, const std::string& input = "");

// Path of a program built beside this test.
std::string BinaryPath(const std::string& name);

// A polyakd on a free loopback port, stopped at the end.
class Server {
 public:
  explicit Server(std::vector<std::string> flags = {});
  const std::string& address() const { return address_; }
  Process& process() { return process_; }

 private:
  Process process_;
  std::string address_;
};

}  // namespace polyak::testing_support
