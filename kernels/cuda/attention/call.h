// One attention call on a device: what is prepared from a plan once, and the launches of a run. Plan, then run: running allocates
// nothing and copies nothing between host and device.
#pragma once

#include <functional>
#include <optional>
#include <span>

#include "kernels/cuda/attention/launch.h"
#include "kernels/cuda/attention/linear_call.h"
#include "kernels/cuda/attention/tile_lists.h"

namespace zt::cuda_attention {

// What a call needs of its plan, on the host.
struct PlanTables {
  const ForwardKernel* kernel = nullptr;
  TileLists lists;
  TileLists mass_lists;  // if block mass is wanted
  std::optional<LinearTables> linear;  // bf16 only
  bool q_moves = false, k_moves = false;  // are put into block order first
  std::vector<int32_t> q_sets, k_sets;    // per head
  std::vector<int32_t> q_order, k_order;
};
// For one head dimension, storage type, scale (> 0) and device. The plan outlives it.
PlanTables make_tables(const AttentionPlan& plan, DType dtype, int head_dim, int64_t heads, float scale, const TileShape& shape,
                       bool block_mass);

// The same in device memory.
struct DeviceTables {
  DeviceTiles tiles, mass_tiles;
  const int32_t *q_block = nullptr, *k_block = nullptr;  // of mass_tiles
  LinearDevice linear;
  const int32_t *q_order = nullptr, *q_sets = nullptr, *k_order = nullptr, *k_sets = nullptr;
};
// put copies bytes to the device and says where they are; never called for nothing.
using Put = std::function<const void*(std::span<const std::byte>)>;
DeviceTables upload_tables(const PlanTables& t, const Put& put);

// q, k, v, out [B, H, N, D], any strides with the last axis contiguous; lse [B, H, Nq] f32 or null. Without v and out only lse
// and mass. mass [B, H, q blocks, k blocks] and mass_lse [B, H, Nq] f32 dense, or null: as in AttentionArgs.
struct AttentionCall {
  Matrices q, k, v, out;
  float *lse = nullptr, *mass = nullptr;
  const float* mass_lse = nullptr;
  const float *proj_weight = nullptr, *proj_bias = nullptr;  // of a linear part that has a projection
  int batch = 1, heads = 1, head_dim = 64;
  int64_t nq = 0, nk = 0;
  int q_blocks = 0, k_blocks = 0;  // of mass
  float scale = 1;
};
size_t attention_workspace(const PlanTables& t, const AttentionCall& c);
// 0, or the cudaError_t of the first launch that failed. workspace: 256-byte aligned.
int run_attention(const PlanTables& t, const DeviceTables& d, const AttentionCall& c, void* workspace, void* stream);

}  // namespace zt::cuda_attention
