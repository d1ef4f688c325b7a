#pragma once

#include <cstdint>
#include <string>

namespace polyak::bench {

// The bare stream's server: answers every WatchTrainingJob with messages of so many records in all,
// made before it prints its address. Runs until it is killed.
[[noreturn]] int ServeBareStream(int64_t records);

// The client's process: prints how many records came, how many seconds there were from the first
// message of them to the last, and the processor time of this process in those. Returns 0, or 1 if
// a record was lost.
//   by_library: the project's client library, else gRPC's stub alone.
int CountRecords(const std::string& address, const std::string& job, bool by_library);

}  // namespace polyak::bench
