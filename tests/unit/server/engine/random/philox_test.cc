#include "server/engine/random/philox.h"

#include <array>
#include <cstdint>

#include "gtest/gtest.h"

namespace polyak::engine {
namespace {

using Block = std::array<uint32_t, 4>;

constexpr uint32_t kOnes = 0xFFFFFFFF;

// The lines "philox4x32 10" of the file kat_vectors that comes with the authors' library Random123.
TEST(Philox, GivesThePublishedAnswerToZeros) {
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}),
            (Block{0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8}));
}

TEST(Philox, GivesThePublishedAnswerToOnes) {
  EXPECT_EQ(Philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Block{0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD}));
}

TEST(Philox, GivesThePublishedAnswerToTheDigitsOfPi) {
  EXPECT_EQ(Philox4x32({0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344}, {0xA4093822, 0x299F31D0}),
            (Block{0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1}));
}

}  // namespace
}  // namespace polyak::engine
