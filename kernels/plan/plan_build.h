// Makers of plans. Each takes a PlanParts whose blocks (and orders, head map, linear part, horizon) are set and adds
// the lists; blocks that are all kept become whole, equal masks are stored once. The time it takes is added to
// planning_seconds.
#pragma once

#include <functional>

#include "kernels/plan/attention_plan.h"

namespace zt {

// Every row reads every key block, by lists: the sparse path on a dense problem.
Result<PlanPtr> plan_all_blocks(int64_t nq, int64_t nk, int block_q, int block_k);

// Keys [begin, end) of one query row, as slots.
struct KeyRun {
  int64_t begin = 0, end = 0;
};

// rows(set, q_slot, runs) appends the kept keys of a query slot; runs may touch or overlap.
using RowRuns = std::function<void(int64_t set, int64_t q_slot, std::vector<KeyRun>& runs)>;
Result<PlanPtr> plan_from_runs(PlanParts parts, const RowRuns& rows);

// mask [heads, nq, nk] over slots, nonzero = kept.
Result<PlanPtr> plan_from_mask(PlanParts parts, std::span<const uint8_t> mask);

// map [heads, q blocks, k blocks]: 0 = left out, 1 = whole, m + 2 = mask m of parts.mask_words.
Result<PlanPtr> plan_from_block_map(PlanParts parts, std::span<const int32_t> map);

// map [heads, q blocks, k blocks] (or one set of lists): 1 = kept whole, 2 = listed for the linear part (of scope
// `listed`), 0 = neither.
Result<PlanPtr> plan_from_class_map(PlanParts parts, std::span<const uint8_t> map);

// Keys within `half_width` tokens of the query, on one axis of n tokens.
Result<PlanPtr> plan_band(int64_t n, int64_t half_width, int block);

// One plan in which head h does what per_head[h] does. They must agree on blocks, horizon aside, and carry no linear
// part and no key bias unless all are the same plan; a dense plan takes the blocks of the others.
Result<PlanPtr> merge_heads(std::span<const PlanPtr> per_head);

}  // namespace zt
