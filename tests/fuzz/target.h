#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// A fuzz target: one reader of bytes that strangers or a failing disk may hand in. It must give an
// answer or an error for every input, without a crash, a hang or undefined behaviour. Two programs
// are made of each: with the `fuzz` preset one by libFuzzer, which looks for inputs that reach new
// code; with every preset a test, which runs the inputs that are known.

namespace polyak::fuzz {

// Inputs that are as they should be, to start from; of `seal`ed formats also as they are unsealed.
std::vector<std::string> Seeds();

}  // namespace polyak::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
