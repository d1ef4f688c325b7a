#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "absl/status/status.h"

namespace polyak::server {

// Everything the server can be told, by flag, environment (POLYAKD_LISTEN) or configuration file
// (TOML).
struct ServerOptions {
  std::string listen = "127.0.0.1:50051";
  std::string data_dir;
  bool allow_unauthenticated = false;
  bool reflection = true;
  int workers = 0;  // 0: one per processor
  int64_t queue_capacity = 1000;
  int64_t max_watchers = 5000;
  int64_t memory_mebibytes = 0;  // 0: three quarters of the machine's
  int64_t disk_mebibytes = 0;    // of the files of jobs; 0: what the disk has
  int64_t disk_reserve_mebibytes = 32;
  double retention_days = 0;          // of ended jobs; 0: for ever
  int64_t datasets_mebibytes = 1024;  // of all data sets that were sent
  int64_t max_message_mebibytes = 16;
  double max_duration_seconds = 24 * 3600;
  std::string log_level = "info";
  double drain_seconds = 4;
};

// What the command line asks for: to serve, to check another server's health, to make a catalogue
// anew, or to print text and leave.
struct ServeCommand {
  ServerOptions options;
};
struct HealthCheckCommand {
  std::string server = "127.0.0.1:50051";
};
struct RebuildCommand {
  std::string data_dir;
  bool with_lost = false;
  bool replace = false;
  bool leave_unreadable = false;
};
struct ExitCommand {  // help, version, or a usage error that was already printed
  int exit_code = 0;
};
using ServerCommand = std::variant<ServeCommand, HealthCheckCommand, RebuildCommand, ExitCommand>;

ServerCommand ParseCommandLine(int argument_count, const char* const* arguments);

// Listening beyond loopback needs authentication, which this version does not have, or
// --allow-unauthenticated. Errors: InvalidArgument for an address that is not HOST:PORT or
// unix:PATH; FailedPrecondition for one beyond loopback.
absl::Status CheckListenAddress(const ServerOptions& options);

// --disk is of a directory.  Errors: InvalidArgument without one.
absl::Status CheckDisk(const ServerOptions& options);

// Whether HOST:PORT or unix:PATH can only be reached from this machine. localhost counts; names
// that need look-up do not.
bool IsLoopback(const std::string& address);

}  // namespace polyak::server
