#include "tests/bench/server_probe.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "server/base/check.h"

namespace polyak::bench {
namespace {

// The number of a line "VmRSS:    1234 kB" of a file like /proc/PID/status.
int64_t StatusNumber(const std::filesystem::path& path, const std::string& field) {
  std::ifstream status(path);
  std::string line;
  while (std::getline(status, line)) {
    if (line.rfind(field + ":", 0) == 0) {
      int64_t number = 0;
      std::istringstream(line.substr(field.size() + 1)) >> number;
      return number;
    }
  }
  return 0;
}

double StatusBytes(pid_t process, const std::string& field) {
  return 1024.0 *
         static_cast<double>(StatusNumber("/proc/" + std::to_string(process) + "/status", field));
}

}  // namespace

ThreadUse UseOfThreads(pid_t process, const std::string& name) {
  ThreadUse use;
  const std::filesystem::path tasks = "/proc/" + std::to_string(process) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    std::string comm;
    std::getline(std::ifstream(task.path() / "comm") >> std::ws, comm);
    if (name.empty() || comm == name) {
      double nanoseconds = 0;
      std::ifstream(task.path() / "schedstat") >> nanoseconds;
      use.seconds += 1e-9 * nanoseconds;
      use.preemptions += StatusNumber(task.path() / "status", "nonvoluntary_ctxt_switches");
    }
  }
  return use;
}

double ResidentBytes(pid_t process) { return StatusBytes(process, "VmRSS"); }

double PeakBytes(pid_t process) { return StatusBytes(process, "VmHWM"); }

}  // namespace polyak::bench
