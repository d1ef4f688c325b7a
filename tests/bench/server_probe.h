#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace polyak::bench {

// What the kernel says of another process.

// CPU seconds so far of its threads of that name.
double ThreadSeconds(pid_t process, const std::string& name);
// Resident memory, now and at most.
double ResidentBytes(pid_t process);
double PeakBytes(pid_t process);

// values: at least one.
double Median(std::vector<double> values);

}  // namespace polyak::bench
