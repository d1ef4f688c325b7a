#include "tests/bench/server_probe.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "server/base/check.h"

namespace polyak::bench {
namespace {

// A line "VmRSS:    1234 kB" of /proc/PID/status, in bytes.
double StatusBytes(pid_t process, const std::string& field) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.rfind(field + ":", 0) == 0) {
      double kibibytes = 0;
      std::istringstream(line.substr(field.size() + 1)) >> kibibytes;
      return 1024 * kibibytes;
    }
  }
  return 0;
}

}  // namespace

double ThreadSeconds(pid_t process, const std::string& name) {
  double seconds = 0;
  const std::filesystem::path tasks = "/proc/" + std::to_string(process) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    std::string comm;
    std::getline(std::ifstream(task.path() / "comm") >> std::ws, comm);
    if (comm == name) {
      double nanoseconds = 0;
      std::ifstream(task.path() / "schedstat") >> nanoseconds;
      seconds += 1e-9 * nanoseconds;
    }
  }
  return seconds;
}

double ResidentBytes(pid_t process) { return StatusBytes(process, "VmRSS"); }

double PeakBytes(pid_t process) { return StatusBytes(process, "VmHWM"); }

double Median(std::vector<double> values) {
  POLYAK_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

}  // namespace polyak::bench
