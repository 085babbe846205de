// The linear part of an attention call on a device; see linear.cuh. Plan, then run, as call.h.
#pragma once

#include <vector>

#include "kernels/cuda/attention/launch.h"
#include "kernels/plan/attention_plan.h"

namespace zt::cuda_attention {

// What it needs of a plan, on the host.
struct LinearTables {
  LinearSizes sizes;
  std::vector<KeyTile> pieces;     // of the keys, a state each: key blocks, or, where all rows read all of them, 512 keys
  std::vector<LinearTile> tiles;   // of 64 query rows, each in one query block
  std::vector<int32_t> offsets, cols;  // lists of the scope, by set and query block
  std::vector<int32_t> set_of;     // per head
  std::vector<float> alpha;        // a lerp's, by set and query block
};
LinearTables make_linear_tables(const AttentionPlan& plan, int64_t heads);
// The sizes alone. Without a linear part all are zero.
LinearSizes linear_sizes(const AttentionPlan& plan);

// States of all heads need not fit at a time: as many as this many bytes hold, one at least.
constexpr size_t kLinearBytes = size_t(256) << 20;
// Bytes for one call of so many batch entries times heads; 0 without pieces.
size_t linear_workspace(const LinearSizes& s, int head_dim, int64_t heads);

}  // namespace zt::cuda_attention
