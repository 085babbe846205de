// A plan's lists as the kernels walk them: query tiles and key tiles of a given shape. Host side, no CUDA.
#pragma once

#include <vector>

#include "kernels/cuda/attention/tiles.h"
#include "kernels/plan/attention_plan.h"

namespace zt::cuda_attention {

struct TileLists {
  int64_t tiles_per_set = 0;
  std::vector<QueryTile> query_tiles;  // [sets, tiles_per_set], longest list first
  std::vector<KeyTile> key_tiles;
  std::vector<int32_t> set_of;         // per model head
  std::vector<int32_t> mask_row;       // per query tile, with masks only: its first row within its query block
  std::vector<int32_t> q_block;        // ListsFor::mass: per query tile its query block
  std::vector<int32_t> k_block;        // ListsFor::mass: per key tile its key block
  std::vector<uint64_t> mask_words;    // as in the plan
  int mask_row_words = 0, mask_rows = 0;
  bool extras = false;                 // masks or biases
  int64_t steps = 0;                   // key tiles summed over query tiles of all heads: what is computed
};

enum class ListsFor : uint8_t {
  forward,  // neighbouring whole blocks are walked as one run of keys: small or partly filled ones leave no tile half empty
  mass      // every key tile lies in one key block, every query tile is a whole query block
};
// scale > 0: of the logits, biases are divided by it. Blocks of a list keep their order.
TileLists make_tile_lists(const AttentionPlan& plan, const TileShape& shape, int64_t heads, float scale,
                          ListsFor use = ListsFor::forward);

// The kernel shape for a device of compute capability major.minor = arch / 10 . arch % 10, head dimension 64 or 128.
// Plans of small query blocks get tiles of 64 rows: in larger ones half of the rows would be empty.
TileShape tile_size(int arch, int head_dim, const AttentionPlan& plan);

// Bytes of shared memory that a block may have on a device.
uint32_t shared_limit(int arch);

}  // namespace zt::cuda_attention
