// What a plan becomes for the attention kernels: query tiles, each with a range of key tiles. Plain data, on host and device.
#pragma once

#include <cstdint>

namespace zt::cuda_attention {

constexpr int kStepsMax = 64;  // keys of a tile, at most: one word of a mask row

// Rows [first, first + rows) of the query slots; reads key tiles [begin, end).
struct alignas(16) QueryTile {
  int32_t first, rows, begin, end;
};

// Slots [first, first + keys). `mask` is the word of mask row 0 that covers the keys, shifted left by one, and 1 if they are its
// upper 32 bits; -1: all kept. `bias`, in units of q.k, is added to every score.
struct alignas(16) KeyTile {
  int32_t first, keys, mask;
  float bias;
};

// Rows [first, first + rows) of query block `block`, at most 64: for the linear part.
struct alignas(16) LinearTile {
  int32_t first, rows, block, unused;
};

// The shape of a kernel: what one block of it computes at a time.
struct TileShape {
  int rows, keys, warps, stages;
  bool q_in_registers;
  int min_blocks;  // an SM, that registers must leave room for

  constexpr int threads() const { return warps * 32; }
  constexpr int warp_rows() const { return rows / warps; }
  constexpr uint32_t shared_bytes(int head_dim) const { return uint32_t(rows + 2 * keys * stages) * uint32_t(head_dim) * 2; }
  constexpr bool operator==(const TileShape&) const = default;
};

// For plans of query blocks of up to 64 tokens, on every card; for others where the tensor unit is slow beside shared memory
// (16 rows a warp); for others on A100 and H100, where a fragment of keys must feed two products (32 rows a warp).
constexpr TileShape kSmall64{64, 64, 4, 2, true, 2}, kTall64{128, 64, 8, 2, true, 1}, kWide64{128, 64, 4, 3, false, 2};
constexpr TileShape kSmall128{64, 32, 4, 2, false, 2}, kTall128{128, 64, 8, 2, false, 1}, kWide128{128, 32, 4, 2, false, 2};

}  // namespace zt::cuda_attention
