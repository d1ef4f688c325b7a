#pragma once

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/support/process.h"

namespace polyak {

// A polyakd on one data directory and one address, started as often as the test likes.
class DurableServer {
 public:
  // parent: of the data directory.   environment: as Process has it.
  explicit DurableServer(
      std::vector<std::string> flags = {},
      const std::filesystem::path& parent = std::filesystem::temp_directory_path(),
      std::vector<std::string> environment = {})
      : flags_(std::move(flags)), environment_(std::move(environment)) {
    std::string pattern = (parent / "polyak-XXXXXX").string();
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    data_directory_ = pattern;
    Start();
  }
  ~DurableServer() {
    process_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(data_directory_, ignored);
  }

  void Start() {
    std::vector<std::string> arguments = flags_;
    arguments.push_back("--listen=" + address_);
    arguments.push_back("--data-dir=" + data_directory_);
    process_ = std::make_unique<testing_support::Process>(testing_support::BinaryPath("polyakd"),
                                                          arguments, environment_);
    const std::string line = process_->ReadLine();
    ASSERT_TRUE(line.starts_with("grpc ")) << line << process_->Errors();
    address_ = line.substr(5);
  }
  void Kill() {
    process_->Signal(SIGKILL);
    process_->Wait();
  }
  // Stops it as an operator does. Returns the exit code.
  int Stop() {
    process_->Signal(SIGTERM);
    return process_->Wait();
  }

  const std::string& address() const { return address_; }
  const std::string& data_directory() const { return data_directory_; }
  testing_support::Process& process() { return *process_; }
  const testing_support::Process& process() const { return *process_; }

 private:
  const std::vector<std::string> flags_;
  const std::vector<std::string> environment_;
  std::string data_directory_;
  std::string address_ = "127.0.0.1:0";
  std::unique_ptr<testing_support::Process> process_;
};

// A count from the environment, or the short run's.
inline int CountFromEnvironment(const char* name, int otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

}  // namespace polyak
