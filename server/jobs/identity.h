#pragma once

#include <string>

namespace polyak::jobs {

// A version 4 UUID from the system's generator.
std::string RandomUid();
// "job-" and ten letters and digits that are not easily confused: 50 random bits.
std::string RandomId();

}  // namespace polyak::jobs
