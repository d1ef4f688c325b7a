#pragma once

#include <string>

namespace polyak::bench {

// The watchers' process: opens so many watches of one job, says "open" when all of them have their
// snapshot, and follows them to the end. Returns 0, or 1 if a watch was not as docs/watch.md says.
int WatchMany(const std::string& address, const std::string& job, int count);

}  // namespace polyak::bench
