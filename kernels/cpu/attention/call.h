// One call of a tile executor: its sizes, where each part of the workspace lies, and the rows of its tensors.
#pragma once

#include <algorithm>
#include <utility>

#include "kernels/core/parallel.h"
#include "kernels/cpu/attention/tile.h"

namespace zt::cpu_attention {

constexpr size_t kAlign = 64;

constexpr int64_t kPieceKeys = 512;  // keys of a state, where all query blocks read all of them

// Of the linear part; zero where the plan has none.
struct LinearSizes {
  bool scoped = false;  // what is in scope differs between query blocks: a state for each key block
  int64_t pieces = 0;   // states of a head
  int64_t state_floats = 0, matrix_dwords = 0;
  size_t states_at = 0, totals_at = 0, finite_at = 0, matrices_at = 0, sums_at = 0, projection_at = 0, packed_projection_at = 0;

  size_t head_bytes() const { return size_t(pieces) * size_t(state_floats) * 4; }
};
LinearSizes linear_sizes(const Layout& lay, const AttentionPlan& plan);

// Everything about sizes that does not depend on data.
struct Sizes {
  Layout lay;
  int64_t chunks_per_block = 1, slots = 0;  // packed chunks of a head
  // Query tiles of a head: whole query blocks, or a part of one. A dense plan reads the same keys whatever the query
  // block, so its tiles are cut from all queries unless something else differs between query blocks.
  bool by_block = true;
  int64_t tile_rows = kTileRows, blocks_per_tile = 1, tiles_per_block = 1, tiles = 0;
  int64_t heads = 0, places = 1;  // batch * heads, and how many the workspace holds at a time
  int64_t mass_entries = 0;      // key blocks of the longest list, if block mass is asked for
  LinearSizes linear;
  size_t k_at = 0, v_at = 0, marks_at = 0, order_at = 0, scratch_at = 0, scratch_bytes = 0, bytes = 0;
};

Layout make_layout(const TileKernel& t, int64_t head_dim, int block_k);

struct Unit {
  int64_t keys;  // of its list
  int64_t tile;
};

Sizes make_sizes(const TileKernel& t, const AttentionPlan& plan, const AttentionProblem& p, int threads);

// Rows from a slot on; `order` names the token of each slot, null = in place.
Rows rows_of(const TensorView& t, int64_t batch, int64_t head, int64_t slot, const int32_t* order);
const int32_t* order_of(const TokenOrder& o, int64_t head, int64_t tokens);

struct Call {
  const TileKernel& t;
  const AttentionPlan& plan;
  const AttentionProblem& p;
  const AttentionArgs& a;
  const Sizes z;
  char* const base;
  const int threads;

  const PlanParts& parts() const { return plan.parts(); }
  Scratch scratch() const;
  template <class T>
  T* at(size_t offset) const {
    return reinterpret_cast<T*>(base + offset);
  }
  Dword* packed_k(int64_t place, int64_t slot) const {
    return at<Dword>(z.k_at) + (place * z.slots + slot) * z.lay.k_dwords();
  }
  Dword* packed_v(int64_t place, int64_t slot) const {
    return at<Dword>(z.v_at) + (place * z.slots + slot) * z.lay.v_dwords();
  }
  int64_t list_set(int64_t head) const { return plan.set_of(head % p.heads); }
  const int64_t* list(int64_t head, int64_t q_block) const {
    return parts().row_offsets.data() + list_set(head) * parts().q.count() + q_block;
  }
  // All key blocks of a head.
  Walk walk(int64_t place) const;
};

}  // namespace zt::cpu_attention
