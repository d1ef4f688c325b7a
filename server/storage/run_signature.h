#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace polyak::storage {

// Who computes here. Only the same build on the same class of processor, with the same
// floating-point control word, gives the same bits.
struct Machine {
  std::string build;
  std::string processor;
  int64_t float_control = 0;
};

// What the description of a trace begins with, in three lines: who computes its records. The job
// follows.
std::string Signature(const Machine& machine);
// The first three lines of a description; all of it if it has fewer.
std::string SignatureOf(std::string_view description);
// For people.
std::string InOneLine(std::string signature);

}  // namespace polyak::storage
