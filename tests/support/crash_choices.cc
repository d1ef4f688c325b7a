#include "tests/support/crash_choices.h"

#include <random>
#include <set>
#include <utility>

namespace polyak::testing_support {
namespace {

using Subset = std::vector<size_t>;

// Only the members of `all` whose bits are set, by their position.
Subset Pick(const Subset& all, const std::function<bool(size_t)>& is_in) {
  Subset picked;
  for (size_t k = 0; k < all.size(); ++k) {
    if (is_in(k)) {
      picked.push_back(all[k]);
    }
  }
  return picked;
}

// None and all first; no subset twice.
std::vector<Subset> Subsets(const Subset& all, const CrashLimits& limits, std::mt19937_64& random) {
  std::vector<Subset> subsets = {{}, all};
  if (all.size() <= limits.exhaustive_max) {
    for (uint64_t bits = 0; bits < (uint64_t{1} << all.size()); ++bits) {
      subsets.push_back(Pick(all, [&](size_t k) { return (bits >> k & 1) != 0; }));
    }
  } else {
    for (size_t one = 0; one < all.size(); ++one) {
      subsets.push_back(Pick(all, [&](size_t k) { return k != one; }));
      subsets.push_back({all[one]});
    }
    for (size_t count = 0; count < limits.random_subsets; ++count) {
      subsets.push_back(Pick(all, [&](size_t) { return (random() >> 63) != 0; }));
    }
  }
  std::set<Subset> seen;
  std::erase_if(subsets, [&](const Subset& subset) { return !seen.insert(subset).second; });
  return subsets;
}

// Every way to tear a write of this size: at its borders, and at those of sectors and pages.
std::vector<Tear> Tears(int64_t size, std::mt19937_64& random) {
  std::set<int64_t> cuts;
  for (const int64_t cut : {int64_t{0}, int64_t{1}, int64_t{511}, int64_t{512}, int64_t{4095},
                            int64_t{4096}, size - 1}) {
    if (cut < size) {
      cuts.insert(cut);
    }
  }
  std::vector<Tear> tears;
  for (const int64_t cut : cuts) {
    if (cut > 0) {  // nothing written at all is a choice without the write
      tears.push_back({cut, Tear::Rest::kUnwritten, 0});
    }
    tears.push_back({cut, Tear::Rest::kZeros, 0});
    tears.push_back({cut, Tear::Rest::kJunk, random()});
  }
  return tears;
}

}  // namespace

std::vector<CrashChoice> MakeCrashChoices(const std::vector<size_t>& unsynced,
                                          const SizeOfLastWrite& size_of_last_write,
                                          const CrashLimits& limits, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<CrashChoice> choices;
  for (Subset& subset : Subsets(unsynced, limits, random)) {
    choices.push_back({std::move(subset), std::nullopt});
  }
  const size_t whole = limits.with_tears ? choices.size() : 0;
  for (size_t k = 0; k < whole; ++k) {
    const Subset subset = choices[k].survivors;
    const std::optional<int64_t> size = size_of_last_write(subset);
    if (!size) {
      continue;
    }
    const std::vector<Tear> tears = Tears(*size, random);
    if (subset == unsynced) {
      for (const Tear& tear : tears) {
        choices.push_back({subset, tear});
      }
    } else if (random() % 4 == 0) {
      choices.push_back({subset, tears[random() % tears.size()]});
    }
  }
  return choices;
}

std::string Junk(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string junk(size, '\0');
  for (char& byte : junk) {
    byte = static_cast<char>(random() & 0xff);
  }
  return junk;
}

}  // namespace polyak::testing_support
