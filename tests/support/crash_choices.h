#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/simulated_disk.h"

namespace polyak::testing_support {

// Bytes of the last write among some operations; nullopt if none of them is a write.
using SizeOfLastWrite = std::function<std::optional<int64_t>(const std::vector<size_t>&)>;

// The choices of SimulatedDisk::CrashChoices, from the operations that are not synced.
std::vector<CrashChoice> MakeCrashChoices(const std::vector<size_t>& unsynced,
                                          const SizeOfLastWrite& size_of_last_write,
                                          const CrashLimits& limits, uint64_t seed);

// Bytes that look like nothing; the same for the same seed.
std::string Junk(size_t size, uint64_t seed);

}  // namespace polyak::testing_support
