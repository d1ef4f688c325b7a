#pragma once

#include <cstdint>
#include <string_view>

namespace polyak::base {

// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78) of `data`, going on from the CRC of what
// came before it: Crc32c(b, Crc32c(a)) is the CRC of a followed by b.  Cost: about 0.1 ns a byte
// with SSE 4.2.
uint32_t Crc32c(std::string_view data, uint32_t crc = 0);
// The same without the processor's instruction: for machines that lack it, 2 ns a byte.
uint32_t Crc32cByTable(std::string_view data, uint32_t crc = 0);

// What is stored in place of a CRC: the CRC of bytes that hold their own CRC is a constant, so a
// stored CRC must not be mistaken for one.  UnmaskCrc(MaskCrc(crc)) == crc.
uint32_t MaskCrc(uint32_t crc);
uint32_t UnmaskCrc(uint32_t masked);

}  // namespace polyak::base
