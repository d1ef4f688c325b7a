// Benchmarks of one build, run by script/bench.
//
//   polyak_bench [Google Benchmark's flags]
//   polyak_bench --lossless-watch ADDRESS JOB    internal: the other process of the watched
//   benchmark
//   polyak_bench --many-watches ADDRESS JOB COUNT    internal: the same of many watchers
//   polyak_bench --bare-stream RECORDS           internal: the server of a bare stream
//   polyak_bench --count-records ADDRESS JOB library|stub    internal: the client of a stream
//   polyak_bench --spin                          internal: a busy process, until it is killed

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "benchmark/benchmark.h"
#include "tests/bench/many_watchers_bench.h"
#include "tests/bench/stream_bench.h"
#include "tests/bench/watched_bench.h"

namespace {

std::string ProcessorName() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  std::string line;
  while (std::getline(cpuinfo, line)) {
    if (line.rfind("model name", 0) == 0) {
      return line.substr(line.find(':') + 2);
    }
  }
  return "unknown";
}

}  // namespace

int main(int argument_count, char** arguments) {
  if (argument_count == 4 && std::strcmp(arguments[1], "--lossless-watch") == 0) {
    return polyak::bench::WatchLossless(arguments[2], arguments[3]);
  }
  if (argument_count == 5 && std::strcmp(arguments[1], "--many-watches") == 0) {
    return polyak::bench::WatchMany(arguments[2], arguments[3], std::atoi(arguments[4]));
  }
  if (argument_count == 3 && std::strcmp(arguments[1], "--bare-stream") == 0) {
    return polyak::bench::ServeBareStream(std::atoll(arguments[2]));
  }
  if (argument_count == 5 && std::strcmp(arguments[1], "--count-records") == 0) {
    return polyak::bench::CountRecords(arguments[2], arguments[3],
                                       std::strcmp(arguments[4], "library") == 0);
  }
  if (argument_count == 2 && std::strcmp(arguments[1], "--spin") == 0) {
    return polyak::bench::Spin();
  }
  benchmark::AddCustomContext("processor", ProcessorName());
  benchmark::AddCustomContext("polyak", POLYAK_VERSION);
  benchmark::Initialize(&argument_count, arguments);
  if (benchmark::ReportUnrecognizedArguments(argument_count, arguments)) {
    return 2;
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
