// Starts the attention kernels. Plain types, for callers that are not compiled by nvcc; device pointers throughout.
#pragma once

#include "kernels/core/dtype.h"
#include "kernels/cuda/attention/tiles.h"

namespace zt::cuda_attention {

// TileLists in device memory.
struct DeviceTiles {
  const QueryTile* query_tiles = nullptr;
  const KeyTile* key_tiles = nullptr;
  const int32_t* set_of = nullptr;
  const int32_t* mask_row = nullptr;     // null without masks
  const uint64_t* mask_words = nullptr;  // null without masks
  int64_t tiles_per_set = 0;
  int mask_row_words = 0, mask_rows = 0;
  bool extras = false;
};

// [B, H, N, D] with the last axis contiguous; strides in elements.
struct Matrices {
  void* data = nullptr;
  int64_t batch = 0, head = 0, row = 0;
};

// q, k, v, out in bf16 or f16, D 64 or 128, rows on 16-byte boundaries. lse f32 [B, H, Nq] dense, or null. Without v and out only
// lse is computed.
struct ForwardCall {
  Matrices q, k, v, out;
  float* lse = nullptr;
  int batch = 1, heads = 1;
  int64_t nq = 0;
  float scale = 1;  // > 0
  DeviceTiles tiles;
};

// Block mass relative to `lse`, which is read. tiles: made for mass.
struct MassCall {
  ForwardCall f;
  const int32_t *q_block = nullptr, *k_block = nullptr;
  float* mass = nullptr;  // [B, H, q_blocks, k_blocks] f32 dense
  int q_blocks = 0, k_blocks = 0;
};

// The kernels of a storage type, head dimension and shape. They return 0 or a cudaError_t; stream is a cudaStream_t.
struct ForwardKernel {
  DType dtype;
  int head_dim;
  TileShape shape;
  int (*run)(const ForwardCall& call, void* stream);
  int (*mass)(const MassCall& call, void* stream);
};

// Null if there is none: other shapes than tile_size names, or an architecture it never names this shape for.
const ForwardKernel* find_forward(DType dtype, int head_dim, const TileShape& shape);

// The linear part (linear.cuh), whatever device memory it lies in.
struct LinearSizes {
  int64_t pieces = 0, tiles = 0, q_blocks = 0;
  int scope = 0, feature = 0;  // as in the plan: complement, global, listed; softmax, elu, relu
  bool per_block = false;      // what is in scope differs between query blocks
  bool projection = false, lerp = false;
};
struct LinearDevice {
  const KeyTile* pieces = nullptr;
  const LinearTile* tiles = nullptr;
  const int32_t *offsets = nullptr, *cols = nullptr, *set_of = nullptr;
  const float* alpha = nullptr;
};
// out holds the softmax part and gets the blend. f.q, k, v, out and batch, heads; bf16.
struct LinearCall {
  ForwardCall f;
  LinearSizes sizes;
  LinearDevice tables;
  const float *weight = nullptr, *bias = nullptr;  // of the projection
  void* workspace = nullptr;
};
// 0, or the cudaError_t of the first launch that failed. head_dim 64 or 128.
int run_linear(const LinearCall& c, int head_dim, void* stream);
// What of the workspace is for: so many heads at a time, and where their parts lie.
struct LinearSpace {
  int64_t heads = 1;
  size_t states = 0, totals = 0, matrices = 0, sums = 0, bytes = 0;
};
LinearSpace linear_space(const LinearSizes& s, int head_dim, int64_t heads);

// Copies rows into block order, or out of it. Order and sets as in MoveRowsParams; without change of order every set is -1.
struct RowMove {
  Matrices from, to;
  int64_t rows = 0, width = 0;  // of a head; elements
  int batch = 1, heads = 1;
  int element_bytes = 2;      // 2 or 4
  bool whole_chunks = false;  // rows of both sides lie on 16-byte boundaries
  const int32_t* order = nullptr;
  const int32_t* set_of = nullptr;
  bool scatter = false;
};
int move_rows(const RowMove& m, void* stream);

}  // namespace zt::cuda_attention
