// Runs a fuzz target over its seeds, the inputs kept in tests/fuzz/corpus, and, of each, versions
// with one to four things wrong: always the same ones.
//
//   polyak_fuzz_spec_test                  the test
//   polyak_fuzz_spec_test --seeds FOLDER   writes the seeds there instead, for libFuzzer

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/target.h"
#include "tests/support/saved_state.h"

namespace {

constexpr int kInputs = 40'000;  // about a second
constexpr uint64_t kSeed = 20250131;

void Run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

std::vector<std::string> Corpus(const std::string& target) {
  const char* const source = std::getenv("POLYAK_SOURCE_DIR");
  const std::filesystem::path folder =
      std::filesystem::path(source == nullptr ? "." : source) / "tests/fuzz/corpus" / target;
  std::vector<std::filesystem::path> paths;
  if (std::filesystem::exists(folder)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      paths.push_back(entry.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> inputs;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

}  // namespace

int main(int argument_count, char** arguments) {
  const std::vector<std::string> seeds = polyak::fuzz::Seeds();
  if (argument_count == 3 && std::string{arguments[1]} == "--seeds") {
    for (size_t k = 0; k < seeds.size(); ++k) {
      std::ofstream(std::filesystem::path(arguments[2]) / ("seed-" + std::to_string(k)),
                    std::ios::binary)
          << seeds[k];
    }
    return 0;
  }
  std::vector<std::string> inputs = Corpus(POLYAK_FUZZ_TARGET);
  std::cout << POLYAK_FUZZ_TARGET << ": " << seeds.size() << " seeds, " << inputs.size()
            << " inputs of the corpus\n";
  inputs.insert(inputs.end(), seeds.begin(), seeds.end());
  Run("");
  for (const std::string& input : inputs) {
    Run(input);
  }
  std::mt19937_64 random(kSeed);
  for (int k = 0; k < kInputs; ++k) {
    std::string input = inputs[random() % inputs.size()];
    for (uint64_t wrong = 1 + random() % 4; wrong > 0 && !input.empty(); --wrong) {
      input = polyak::testing_support::Damaged(std::move(input), random);
    }
    Run(input);
  }
  std::cout << kInputs << " damaged ones\n";
  return 0;
}
