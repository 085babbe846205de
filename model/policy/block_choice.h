// What the methods that choose blocks by queries and keys share: what a call must bring, the count rule, and the ops in the
// order they all use them.
#pragma once

#include <chrono>
#include <span>
#include <string>

#include "kernels/api/select.h"
#include "model/policy/parameters.h"

namespace zt {

// floor(share * blocks). A product that rounding leaves just below a whole number (0.29 * 100 = 28.999999999999996) counts as
// that number: 1e-9 is far above such an error for any number of blocks and far below a share anyone means.
int32_t share_of_blocks(double share, int64_t blocks);
// The count of every method that keeps a fraction: max(1, floor(keep * blocks)).
int32_t kept_count(double keep, int64_t blocks);

// Queries and keys of one clip. A policy plans for one: heads of several clips would need plans of their own.
struct ClipInput {
  TensorView q, k;  // [H, N, D]
  int64_t heads() const { return q.dim(0); }
  int64_t nq() const { return q.dim(1); }
  int64_t nk() const { return k.dim(1); }
  int64_t head_dim() const { return q.dim(2); }
};
Result<ClipInput> clip_input(const PolicyInput& in, std::string_view method);
// The same, for methods whose blocks follow the grid.
Result<ClipInput> clip_on_grid(const PolicyInput& in, std::string_view method);

// Scores of mean queries against mean keys over the blocks and orders of `parts`, [H, q blocks, k blocks]. `center` takes the
// mean over all keys away first.
struct ScoreRule {
  bool center = false, share = false;  // share: see BlockScoresArgs
  float scale = 1;
};
Result<Tensor> pooled_scores(const ClipInput& clip, const PlanParts& parts, const ScoreRule& rule, const ExecContext& ctx);

// The probabilities of exact attention summed over pairs of blocks, [H, q blocks, k blocks]. `lse` receives the log-sum-exps,
// `known_lse` stands for them (one of the two, or none).
Result<Tensor> block_mass_of(const ClipInput& clip, int block, const TensorView& lse, const TensorView& known_lse,
                             const ExecContext& ctx);

// A map with the highest `count` blocks of each row set to 1 and the rest 0.
Result<Tensor> highest_blocks(const TensorView& scores, std::span<const int32_t> count, const ExecContext& ctx);

// Bytes of what pooled_scores and the map beside it make.
size_t pooled_bytes(const PolicyJob& job, int64_t q_blocks, int64_t k_blocks);
// Bytes of a pass of block_mass_of and `maps` maps beside it.
size_t mass_bytes(const PolicyJob& job, int block, int64_t maps, const ExecContext& ctx);
// Bytes of a plan whose lists keep that share of the pairs of blocks, and of the workspace it needs beyond dense attention.
// Parts: blocks, order, linear part; lists are not read.
size_t lists_bytes(const PolicyJob& job, int64_t q_blocks, int64_t k_blocks, double keep);
Result<size_t> workspace_bytes_of(PlanParts parts, const PolicyJob& job, const ExecContext& ctx);

using PlanClock = std::chrono::steady_clock;
// plan_from_classes with the time since `began` charged to the plan.
Result<PlanPtr> plan_of_map(PlanParts parts, const TensorView& map, PlanClock::time_point began, const ExecContext& ctx);

}  // namespace zt
