// The ops that dynamic methods are composed of: summarise blocks, score pairs of blocks, choose the best, weigh the choice.
// Heads are those of one clip: [H, N, D] is [1, H, N, D] without its first axis. A policy hands tensors from one op to
// the next and never reads them; what it decides by (a number a head) comes back as numbers.
#pragma once

#include <span>
#include <vector>

#include "kernels/api/exec_context.h"
#include "kernels/plan/attention_plan.h"

namespace zt {

// out[h, b] = mean of the tokens in block b, f32 sums over true counts. `center` subtracts the mean over all tokens of the
// head from every block, as SLA does with keys before it ranks them (arXiv 2509.24006, get_block_map).
struct PoolBlocksArgs {
  TensorView x;  // [H, N, D] f32 or bf16, any strides with the last axis contiguous
  const Blocks* blocks = nullptr;
  const TokenOrder* order = nullptr;  // null or without sets: tokens in place
  bool center = false;
  TensorView out;  // [H, blocks, D] f32 dense
};
void pool_blocks(const PoolBlocksArgs& args, const ExecContext& ctx);

// out[h, i, j] = scale * (q[h, i] . k[h, j]). With `share` each row becomes the share of the row's attention a key block is
// expected to hold: n_j exp(out_ij) / sum over blocks, n_j the keys of block j (SVG2, arXiv 2505.18875, section 4).
struct BlockScoresArgs {
  TensorView q, k;  // [H, Q, D], [H, K, D] f32 dense
  float scale = 1;
  std::span<const int32_t> share;  // empty, or n_j [K]
  TensorView out;                  // [H, Q, K] f32 dense
};
void block_scores(const BlockScoresArgs& args, const ExecContext& ctx);

// Writes `mark` over the chosen entries of map and leaves the others. Ties: the lower key block wins; NaN ranks below all.
enum class SelectRule : uint8_t {
  highest,  // the count[h] best of each row
  lowest,   // the count[h] worst of each row, those that `highest` would take last
  mass      // the best until their sum reaches `mass` of the row's sum, the crossing one included; at least count[h]
};
struct SelectBlocksArgs {
  TensorView scores;  // [H, Q, K] f32 dense
  SelectRule rule = SelectRule::highest;
  std::span<const int32_t> count;  // one a head or one for all, clamped to [0, K]
  double mass = 1;
  uint8_t mark = 1;
  TensorView map;  // [H, Q, K] u8 dense
};
void select_blocks(const SelectBlocksArgs& args, const ExecContext& ctx);

// Per head: the sum of `mass` where map is 1, and everywhere.
struct KeptMassArgs {
  TensorView mass;            // [H, Q, K] f32 dense
  TensorView map;             // [H, Q, K] u8 dense
  std::span<double> kept, total;  // [H] each
};
void kept_mass(const KeptMassArgs& args, const ExecContext& ctx);

// Per head: the sum of (a - b)^2 and of b^2.
struct HeadErrorsArgs {
  TensorView a, b;  // [H, N, D] f32 or bf16, any strides with the last axis contiguous
  std::span<double> error, norm;  // [H] each
};
void head_errors(const HeadErrorsArgs& args, const ExecContext& ctx);

// Two attention results over disjoint keys become the one over both: w = sigmoid(lse1 - lse0), out = out0 + w (out1 - out0),
// lse = log(exp(lse0) + exp(lse1)). A part without keys (lse -inf) has weight 0 whatever its out holds.
// SHI-Labs/NATTEN, src/natten/attn_merge.py.
struct MergePartialsArgs {
  TensorView out0, out1, out;  // [B, H, N, D] f32 or bf16, any strides with the last axis contiguous
  TensorView lse0, lse1, lse;  // [B, H, N] f32 dense; lse may be empty
};
void merge_partials(const MergePartialsArgs& args, const ExecContext& ctx);

// The plan of a map of classes: 1 = read by softmax, 2 = listed for a linear part of scope `listed`, 0 = neither.
// parts holds everything but the lists. map [H, Q, K] u8 dense, or [1, Q, K] for lists that all heads share.
Result<PlanPtr> plan_from_classes(PlanParts parts, const TensorView& map, const ExecContext& ctx);

}  // namespace zt
