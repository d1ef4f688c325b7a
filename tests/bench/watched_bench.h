#pragma once

#include <string>

namespace polyak::bench {

// The watcher's process: follows a job to its end by the client library and checks that every
// record came once. Returns 0, or 1 if something was lost.
int WatchLossless(const std::string& address, const std::string& job);

// The control's process: computes without touching memory, until it is killed.
[[noreturn]] int Spin();

}  // namespace polyak::bench
