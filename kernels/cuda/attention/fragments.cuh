// Tiles of 16-bit elements in shared memory, D a row and swizzled, and the fragments of mma.m16n8k16 that are read from them.
#pragma once

#include "kernels/cuda/common/hw.cuh"

namespace zt::cuda_attention {

// A tile's byte offset and, for this lane, where the four 8x8 matrices of a load begin. Chunks of 16 bytes are numbered along a
// row; an even chunk number differs from its neighbour in bit 0 only, so one exclusive-or moves a lane along the row.
struct LaneRows {
  uint32_t row_bytes, chunk;  // of the lane's row; its chunk number, already exclusive-or'ed with row % 8, times 16
};

// Matrices 0, 1 are rows 0-7 and 8-15 of one column of chunks, 2, 3 of the next: A operands, and, transposed, values.
template <int D>
ZT_DEVICE LaneRows rows_first(uint32_t lane) {
  uint32_t row = lane % 16;
  return {row * D * 2, ((lane / 16) ^ (row % 8)) * 16};
}
// Matrices 0, 1 are rows 0-7 of two columns of chunks, 2, 3 rows 8-15: keys, as B operands of two neighbouring n-tiles.
template <int D>
ZT_DEVICE LaneRows chunks_first(uint32_t lane) {
  uint32_t row = lane % 8 + lane / 16 * 8;
  return {row * D * 2, ((lane / 8 % 2) ^ (row % 8)) * 16};
}
// Rows from `row` (a multiple of 8) on, chunks 2 * pair and 2 * pair + 1.
template <int D>
ZT_DEVICE hw::saddr fragment_at(hw::saddr tile, const LaneRows& l, int row, int pair) {
  return tile + (uint32_t(row) * D * 2 + l.row_bytes + (l.chunk ^ (uint32_t(pair) * 32)));
}

// Copies `rows` rows of D elements to a tile of ROWS rows, zeros behind them. Each thread keeps its chunk of every STEP-th row.
template <class E, int D, int ROWS, int THREADS>
struct TileCopy {
  static constexpr int kChunks = D / 8, kStep = THREADS / kChunks, kPasses = (ROWS + kStep - 1) / kStep;
  static_assert(THREADS % kChunks == 0 && kStep % 8 == 0 && ROWS % kStep == 0);

  static ZT_DEVICE int row(uint32_t thread) { return int(thread / kChunks); }
  static ZT_DEVICE uint32_t target(uint32_t thread) { return hw::swizzled(thread / kChunks, thread % kChunks, D * 2); }
  // `from`: this thread's chunk of its first row.
  static ZT_DEVICE void issue(hw::saddr tile, hw::gptr<const E> from, int64_t stride, int rows, uint32_t thread) {
    hw::saddr to = tile + target(thread);
    ZT_UNROLL
    for (int i = 0; i < kPasses; ++i) {
      hw::cp_async16(to + uint32_t(i * kStep) * D * 2, from + i * kStep * stride, row(thread) + i * kStep < rows);
    }
  }
};

}  // namespace zt::cuda_attention
