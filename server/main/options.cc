#include "server/main/options.h"

#include <arpa/inet.h>

#include <charconv>
#include <cmath>
#include <cstdlib>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace polyak::server {
namespace {

// Ranges let NaN through: every comparison with it is false.
CLI::Validator IsNumber() {
  return CLI::Validator(
      [](const std::string& text) {
        return std::isnan(std::strtod(text.c_str(), nullptr)) ? "is nan; accepted: a number" : "";
      },
      "");
}

void AddServeFlags(CLI::App& program, ServerOptions& options) {
  program.add_option("--listen", options.listen, "HOST:PORT or unix:PATH; port 0 picks a free one")
      ->envname("POLYAKD_LISTEN")
      ->capture_default_str();
  program
      .add_option("--data-dir", options.data_dir,
                  "where jobs and their records are kept; created if missing. Without it they are "
                  "kept in memory and end with the server")
      ->envname("POLYAKD_DATA_DIR");
  program
      .add_flag("--allow-unauthenticated", options.allow_unauthenticated,
                "listen beyond loopback although anyone who reaches the port may use it")
      ->envname("POLYAKD_ALLOW_UNAUTHENTICATED");
  program.add_flag("!--no-reflection", options.reflection, "do not offer gRPC server reflection")
      ->envname("POLYAKD_REFLECTION");
  program.add_option("--workers", options.workers, "jobs that run at once; 0: one per processor")
      ->envname("POLYAKD_WORKERS")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  program
      .add_option("--queue-capacity", options.queue_capacity,
                  "jobs that may wait; more are refused")
      ->envname("POLYAKD_QUEUE_CAPACITY")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->capture_default_str();
  program
      .add_option("--max-watchers", options.max_watchers, "watches open at once; more are refused")
      ->envname("POLYAKD_MAX_WATCHERS")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->capture_default_str();
  program
      .add_option("--memory", options.memory_mebibytes,
                  "MiB for all jobs together; 0: three quarters of the machine's")
      ->envname("POLYAKD_MEMORY")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30))
      ->capture_default_str();
  program
      .add_option("--disk", options.disk_mebibytes,
                  "MiB for the files of all jobs under --data-dir; when nine tenths are used, the "
                  "jobs that ended first are forgotten. 0: all that the disk has, and nothing is "
                  "forgotten")
      ->envname("POLYAKD_DISK")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->capture_default_str();
  program
      .add_option("--disk-reserve", options.disk_reserve_mebibytes,
                  "MiB of the disk to keep free: with less, running jobs pause and no new one is "
                  "accepted")
      ->envname("POLYAKD_DISK_RESERVE")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->capture_default_str();
  program
      .add_option("--retention", options.retention_days,
                  "days after its end when a job is forgotten; 0: never")
      ->envname("POLYAKD_RETENTION")
      ->check(CLI::Range(0.0, 1e5))
      ->check(IsNumber())
      ->capture_default_str();
  program
      .add_option("--datasets", options.datasets_mebibytes,
                  "MiB for all data sets that clients have sent, on the disk with --data-dir, else "
                  "in memory; 0: none is taken")
      ->envname("POLYAKD_DATASETS")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->capture_default_str();
  program.add_option("--max-message", options.max_message_mebibytes, "MiB of the largest request")
      ->envname("POLYAKD_MAX_MESSAGE")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  program
      .add_option("--max-duration", options.max_duration_seconds,
                  "seconds of training time a job may use, 1 to 3e9")
      ->envname("POLYAKD_MAX_DURATION")
      ->check(CLI::Range(1.0, 3e9))
      ->check(IsNumber())
      ->capture_default_str();
  program.add_option("--log-level", options.log_level, "trace, debug, info, warning, error or off")
      ->envname("POLYAKD_LOG_LEVEL")
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error", "off"}).description(""))
      ->capture_default_str();
  program
      .add_option("--drain", options.drain_seconds, "seconds for open calls to end after SIGTERM")
      ->envname("POLYAKD_DRAIN")
      ->check(CLI::Range(0.0, 600.0))
      ->check(IsNumber())
      ->capture_default_str();
  // CLI11 reads the file before the environment, so this variable is read here.
  const char* const config = std::getenv("POLYAKD_CONFIG");
  program.set_config("--config", config == nullptr ? "" : config,
                     "a TOML file with any of these flags (environment: POLYAKD_CONFIG)",
                     config != nullptr);
  program.allow_config_extras(CLI::config_extras_mode::error);
}

// Splits HOST:PORT and [HOST]:PORT. Returns false if it is neither.
bool SplitAddress(const std::string& address, std::string& host, int& port) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    return false;
  }
  host = address.substr(0, colon);
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (absl::StrContains(host, ":")) {
    return false;  // an IPv6 address without brackets: where does the port begin?
  }
  const char* begin = address.data() + colon + 1;
  const char* end = address.data() + address.size();
  const auto result = std::from_chars(begin, end, port);
  return result.ec == std::errc() && result.ptr == end && begin != end && port >= 0 &&
         port <= 65535;
}

}  // namespace

ServerCommand ParseCommandLine(int argument_count, const char* const* arguments) {
  CLI::App program(
      "polyakd: trains quadratics, wide ReLU networks and deep linear networks with momentum "
      "methods, checks the\n"
      "theory while they run, and streams every iteration.\n"
      "\n"
      "Examples:\n"
      "  polyakd --listen=127.0.0.1:50051\n"
      "  polyakd healthcheck --server=127.0.0.1:50051\n"
      "  polyakd rebuild --data-dir=DIR\n",
      "polyakd");
  ServeCommand serve;
  HealthCheckCommand health;
  AddServeFlags(program, serve.options);
  program.set_version_flag("--version", "polyakd " POLYAK_VERSION);
  CLI::App* health_check =
      program.add_subcommand("healthcheck", "exit 0 if the server there is serving, else 1");
  health_check->add_option("--server", health.server, "HOST:PORT or unix:PATH")
      ->envname("POLYAK_SERVER")
      ->capture_default_str();
  RebuildCommand rebuild;
  CLI::App* rebuilding = program.add_subcommand(
      "rebuild",
      "make the catalogue of --data-dir anew from the traces in it, while no server runs there: "
      "every job whose trace is found goes on in the next server, which compares what it computes "
      "with the records that are there");
  rebuilding->fallthrough();  // --data-dir may come behind it
  rebuilding->add_flag("--with-lost", rebuild.with_lost,
                       "the traces in the folder lost as well, which are of jobs that a catalogue "
                       "had forgotten, or that were deleted just before a kill");
  rebuilding->add_flag("--replace", rebuild.replace,
                       "although there is a catalogue that can be read");
  rebuilding->add_flag(
      "--leave-unreadable", rebuild.leave_unreadable,
      "go on without the traces that the disk does not give, which the next server "
      "moves to the folder lost");
  try {
    program.parse(argument_count, arguments);
  } catch (const CLI::ParseError& error) {
    constexpr int kUsage = 2;
    return ExitCommand{program.exit(error) == 0 ? 0 : kUsage};
  }
  if (health_check->parsed()) {
    return health;
  }
  if (rebuilding->parsed()) {
    rebuild.data_dir = serve.options.data_dir;
    return rebuild;
  }
  return serve;
}

bool IsLoopback(const std::string& address) {
  if (absl::StartsWith(address, "unix:")) {
    return true;
  }
  std::string host;
  int port = 0;
  if (!SplitAddress(address, host, port)) {
    return false;
  }
  in_addr ipv4 = {};
  in6_addr ipv6 = {};
  if (inet_pton(AF_INET, host.c_str(), &ipv4) == 1) {
    return (ntohl(ipv4.s_addr) >> 24) == 127;
  }
  if (inet_pton(AF_INET6, host.c_str(), &ipv6) == 1) {
    return IN6_IS_ADDR_LOOPBACK(&ipv6) != 0;
  }
  return host == "localhost";
}

absl::Status CheckDisk(const ServerOptions& options) {
  if (options.disk_mebibytes > 0 && options.data_dir.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--disk is ", options.disk_mebibytes,
                     " without --data-dir; accepted: both, or 0 for a server that keeps jobs in "
                     "memory"));
  }
  return absl::OkStatus();
}

absl::Status CheckListenAddress(const ServerOptions& options) {
  std::string host;
  int port = 0;
  const bool is_unix = absl::StartsWith(options.listen, "unix:") && options.listen.size() > 5;
  if (!is_unix && !SplitAddress(options.listen, host, port)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--listen is '", options.listen,
        "'; accepted: HOST:PORT with a port from 0 to 65535 ([HOST]:PORT for IPv6), or unix:PATH"));
  }
  if (!IsLoopback(options.listen) && !options.allow_unauthenticated) {
    return absl::FailedPreconditionError(absl::StrCat(
        "--listen is '", options.listen,
        "', beyond this machine, and this version has no authentication: anyone who reaches the "
        "port "
        "could use the server. Accepted: a loopback address such as 127.0.0.1:50051, or "
        "--allow-unauthenticated"));
  }
  return absl::OkStatus();
}

}  // namespace polyak::server
