#pragma once

#include <string>
#include <string_view>

namespace polyak::jobs {

// A version 4 UUID from the system's generator.
std::string RandomUid();
// Whether a text is one of these, so that files can be named by it.
bool IsUid(std::string_view text);
// "job-" and ten letters and digits that are not easily confused: 50 random bits.
std::string RandomId();

}  // namespace polyak::jobs
