// Plain data that kernels, the code that launches them, and their host execution share. Nothing here touches hardware.
#pragma once

#include <cstdint>

namespace zt::hw {

// Registers of one load, and the fragments of a warp's matrices: two 16-bit elements each, the first in the low half.
struct alignas(8) U2 {
  uint32_t x, y;
};
struct alignas(16) U4 {
  uint32_t x, y, z, w;
};
struct alignas(8) F2 {
  float x, y;
};
struct alignas(16) F4 {
  float x, y, z, w;
};

// Storage types of matrix operands. Conversions are hardware words.
struct Bf16 {
  uint16_t bits;
};
struct F16 {
  uint16_t bits;
};

// Byte offset into the block's dynamic shared memory.
struct saddr {
  uint32_t at;
};
constexpr saddr operator+(saddr a, uint32_t bytes) { return {a.at + bytes}; }
constexpr saddr operator+(saddr a, int bytes) { return {a.at + uint32_t(bytes)}; }

// Blocks of a launch.
struct Grid {
  uint32_t x = 1, y = 1, z = 1;
};

// Where 16-byte chunk c of row r of a tile lies, so that eight rows of one column, and eight chunks of one row, take eight
// different groups of banks. Rows of 128 bytes and multiples of it. CuTe: Swizzle<3, 4, 3>.
constexpr uint32_t swizzled(uint32_t row, uint32_t chunk, uint32_t row_bytes) {
  return row * row_bytes + ((chunk ^ (row & 7)) << 4);
}

}  // namespace zt::hw
