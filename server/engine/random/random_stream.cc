#include "server/engine/random/random_stream.h"

#include "server/engine/random/normal.h"
#include "server/engine/random/philox.h"

namespace polyak::engine {
namespace {

// Middle of one of 2^52 equal parts of (0, 1): never 0 or 1, and exact.
double ToUniform(uint64_t bits) { return (static_cast<double>(bits >> 12) + 0.5) * 0x1p-52; }

}  // namespace

RandomStream::RandomStream(Seed seed, DrawPurpose purpose, uint32_t index)
    : key_(static_cast<uint64_t>(seed.value)),
      purpose_(static_cast<uint32_t>(purpose)),
      index_(index) {}

uint64_t RandomStream::Bits(uint64_t position) const {
  const uint64_t block = position / 2;
  const auto words = Philox4x32(
      {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), purpose_, index_},
      {static_cast<uint32_t>(key_), static_cast<uint32_t>(key_ >> 32)});
  const size_t half = 2 * (position % 2);
  return (static_cast<uint64_t>(words[half + 1]) << 32) | words[half];
}

double RandomStream::Uniform(uint64_t position) const { return ToUniform(Bits(position)); }

double RandomStream::Normal(uint64_t position) const { return NormalQuantile(Uniform(position)); }

double RandomStream::Sign(uint64_t position) const {
  return (Bits(position) >> 63) != 0 ? 1.0 : -1.0;
}

void RandomStream::FillNormal(uint64_t first, std::span<double> out) const {
  size_t k = 0;
  if (first % 2 != 0 && !out.empty()) {
    out[k++] = Normal(first);
  }
  // Two values a block of the generator.
  for (; k + 1 < out.size(); k += 2) {
    const uint64_t block = (first + k) / 2;
    const auto words = Philox4x32(
        {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), purpose_, index_},
        {static_cast<uint32_t>(key_), static_cast<uint32_t>(key_ >> 32)});
    out[k] = NormalQuantile(ToUniform((static_cast<uint64_t>(words[1]) << 32) | words[0]));
    out[k + 1] = NormalQuantile(ToUniform((static_cast<uint64_t>(words[3]) << 32) | words[2]));
  }
  if (k < out.size()) {
    out[k] = Normal(first + k);
  }
}

}  // namespace polyak::engine
