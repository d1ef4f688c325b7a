#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace polyak::bench {

// What the kernel says of another process.

struct ThreadUse {
  double seconds = 0;       // on a processor
  int64_t preemptions = 0;  // how often it had to leave one
};
// So far, of its threads of that name; "": of all that are there.
ThreadUse UseOfThreads(pid_t process, const std::string& name);
// Resident memory, now and at most.
double ResidentBytes(pid_t process);
double PeakBytes(pid_t process);

}  // namespace polyak::bench
