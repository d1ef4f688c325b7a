#pragma once

#include <string>

namespace polyak::base {

// Compiler and architecture of this build: "g++ 12.2.0, x86-64".
std::string BuildTools();
// Which build this is, for whoever compares two: "polyak 0.1.0, g++ 12.2.0, x86-64". Builds of one
// version whose sources differ have the same name.
std::string BuildName();

}  // namespace polyak::base
