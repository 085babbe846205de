// The masks of Sparse VideoGen. Both kinds of head have one mask, a diagonal band and a sink of the first s keys (s tokens a
// frame), over different orders of the tokens: spatial heads frame by frame as they lie, temporal heads place by place.
#pragma once

#include <span>

#include "kernels/plan/attention_plan.h"

namespace zt {

constexpr int64_t kSvgRows = 64;  // sampled queries

// Token of each slot in the temporal order: all frames of the first place, then of the second, and so on.
std::vector<int32_t> svg_place_major(const Grid& grid);

// Which of the first 10,000 queries are looked at: the same ones for the same step, layer and branch on every machine.
std::vector<int32_t> svg_sampled_rows(int64_t tokens, uint64_t step, uint64_t layer, uint64_t branch);

// What judges the heads: 3 kSvgRows queries, the sampled rows with every key, with the spatial and with the temporal profiling
// mask, over keys as they lie. That mask is |block of q - block of k| < floor(2 s / 128) in blocks of 128 slots of
// the head's own order, and the sink; it does not depend on `keep`. (Frames below 64 tokens: at least the own block.)
Result<std::shared_ptr<const AttentionPlan>> svg_profile_plan(const Grid& grid, std::span<const int32_t> rows);

// What runs: |q - k| <= 128 ceil(w / 128) with w = N (1 - sqrt(1 - keep)), and the sink, as lists in slots.
Result<std::shared_ptr<const AttentionPlan>> svg_band_plan(const Grid& grid, double keep);

}  // namespace zt
