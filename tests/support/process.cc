#include "tests/support/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>

namespace polyak::testing_support {
namespace {

void Require(bool condition, const char* what) {
  if (!condition) {
    perror(what);
    std::abort();
  }
}

std::string TemporaryPath() {
  const char* directory = std::getenv("TMPDIR");
  std::string path = std::string(directory == nullptr ? "/tmp" : directory) + "/polyak-test-XXXXXX";
  const int file = mkstemp(path.data());
  Require(file >= 0, "mkstemp");
  close(file);
  return path;
}

std::vector<std::string> WithEphemeralPort(std::vector<std::string> flags) {
  flags.insert(flags.begin(), "--listen=127.0.0.1:0");
  return flags;
}

}  // namespace

Process::Process(const std::string& program, const std::vector<std::string>& arguments,
                 const std::vector<std::string>& environment)
    : errors_path_(TemporaryPath()) {
  int ends[2];
  Require(pipe2(ends, O_CLOEXEC) == 0, "pipe2");
  std::vector<char*> argument_list = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) {
    argument_list.push_back(const_cast<char*>(argument.c_str()));
  }
  argument_list.push_back(nullptr);
  std::vector<char*> environment_list;
  for (const std::string& line : environment) {
    environment_list.push_back(const_cast<char*>(line.c_str()));
  }
  for (char** line = environ; *line != nullptr; ++line) {
    environment_list.push_back(*line);
  }
  environment_list.push_back(nullptr);
  const int errors = open(errors_path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  Require(errors >= 0, "open");
  // vfork-like use: between fork and exec only calls that are safe there.
  pid_ = fork();
  Require(pid_ >= 0, "fork");
  if (pid_ == 0) {
    dup2(ends[1], STDOUT_FILENO);
    dup2(errors, STDERR_FILENO);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    execve(program.c_str(), argument_list.data(), environment_list.data());
    _exit(127);
  }
  close(ends[1]);
  close(errors);
  output_ = ends[0];
}

Process::~Process() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    Wait();
  }
  close(output_);
  unlink(errors_path_.c_str());
}

std::string Process::ReadLine() {
  while (true) {
    const size_t end = buffer_.find('\n');
    if (end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    char part[4096];
    const ssize_t count = read(output_, part, sizeof(part));
    if (count <= 0) {
      return std::exchange(buffer_, "");
    }
    buffer_.append(part, static_cast<size_t>(count));
  }
}

std::string Process::ReadAll() {
  char part[4096];
  ssize_t count = 0;
  while ((count = read(output_, part, sizeof(part))) > 0) {
    buffer_.append(part, static_cast<size_t>(count));
  }
  return std::exchange(buffer_, "");
}

void Process::Signal(int signal) const { kill(pid_, signal); }

int Process::Wait() {
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string Process::Errors() const {
  std::ostringstream text;
  text << std::ifstream(errors_path_).rdbuf();
  return text.str();
}

Outcome RunProgram(const std::string& program, const std::vector<std::string>& arguments,
                   const std::vector<std::string>& environment, const std::string& input) {
  std::string command_program = program;
  std::vector<std::string> command_arguments = arguments;
  std::string input_path;
  if (!input.empty()) {
    input_path = TemporaryPath();
    std::ofstream(input_path) << input;
    command_program = "/bin/sh";
    command_arguments = {"-c", "input=$1; shift; exec \"$@\" < \"$input\"", "sh", input_path,
                         program};
    command_arguments.insert(command_arguments.end(), arguments.begin(), arguments.end());
  }
  Process process(command_program, command_arguments, environment);
  Outcome outcome;
  outcome.output = process.ReadAll();
  outcome.exit_code = process.Wait();
  outcome.errors = process.Errors();
  if (!input_path.empty()) {
    unlink(input_path.c_str());
  }
  return outcome;
}

std::string BinaryPath(const std::string& name) {
  const char* directory = std::getenv("POLYAK_BINARY_DIR");
  Require(directory != nullptr, "POLYAK_BINARY_DIR is not set; run the test by ctest");
  return std::string(directory) + "/" + name;
}

Server::Server(std::vector<std::string> flags)
    : process_(BinaryPath("polyakd"), WithEphemeralPort(std::move(flags))) {
  const std::string line = process_.ReadLine();
  const std::string prefix = "grpc ";
  if (line.rfind(prefix, 0) != 0) {
    fprintf(stderr, "polyakd did not start: '%s'\n%s\n", line.c_str(), process_.Errors().c_str());
    std::abort();
  }
  address_ = line.substr(prefix.size());
}

}  // namespace polyak::testing_support
