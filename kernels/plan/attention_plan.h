// How attention is computed, as data: which key blocks each query block reads. Immutable once made.
//
// Tokens of q and of k are cut into consecutive blocks; block i holds valid[i] <= block tokens, and its first
// token is the sum of the counts before it (so a tail, or a tile of 63 of 64 tokens, needs no padding).
// A head's lists are CSR: row r (a query block) reads the key blocks cols[row_offsets[r] .. row_offsets[r+1]),
// sorted and unique. A plan without lists is dense: every row reads every key block.
//
// Beyond lists a plan may carry bit masks of partly kept blocks, an order in which tokens fill the blocks, and a
// linear part. An executor that lacks one of these asks has_masks(), has_order(), has_linear() and says no.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/core/status.h"

namespace zt {

// Token grid of a latent clip; tokens are ordered t-major, then h, then w.
struct Grid {
  int64_t t = 1, h = 1, w = 1;
  int64_t tokens() const { return t * h * w; }
  bool operator==(const Grid&) const = default;
};

// Token counts of consecutive blocks. `block` is the capacity every block is padded to in kernels.
struct Blocks {
  int block = 64;
  std::vector<int32_t> valid;  // each in [1, block]

  static Blocks uniform(int64_t tokens, int block);
  int64_t count() const { return int64_t(valid.size()); }
  int64_t tokens() const;
  bool operator==(const Blocks&) const = default;
};

// The order in which tokens fill the blocks: slot p of the block sequence holds token order[set * tokens + p].
// Without sets, token p sits in slot p. The output is written back to the token's own place.
struct TokenOrder {
  int sets = 0;
  std::vector<int32_t> order;     // [sets * tokens], each set a permutation
  std::vector<int32_t> inverse;   // slot of each token; AttentionPlan::make fills it
  std::vector<int32_t> head_set;  // per head its set, -1 = in place; empty = set h for head h, or the only one for all

  // Set of a head, -1 = tokens in place.
  int set_of(int64_t head) const;
  bool operator==(const TokenOrder&) const = default;
};

enum class LinearScope : uint8_t {
  complement,  // the blocks the softmax lists leave out (a partly kept block counts as listed): SLA's first code
  global,      // every key: SLA's `main` branch and the TurboDiffusion checkpoints; denominator + 1e-5
  listed       // the blocks of its own lists: SLA as in the paper, with a third, negligible class
};
enum class FeatureMap : uint8_t { softmax, elu, relu };  // over the head's channels; elu is elu(x) + 1
enum class Blend : uint8_t {
  sum,   // out = softmax part + P(linear part): SLA, arXiv 2509.24006
  lerp,  // out = a * softmax part + (1 - a) * linear part, a per query block: SLA2, arXiv 2602.12675
};

// A second part with its own normaliser: phi(q) sum(phi(k) v^T) / (phi(q) . sum phi(k)) over the keys in scope;
// zero where nothing is in scope.
struct LinearPart {
  LinearScope scope = LinearScope::complement;
  FeatureMap feature = FeatureMap::softmax;
  bool projection = false;  // P is the model's D x D matrix and bias; false: P is the identity
  Blend blend = Blend::sum;
  std::vector<float> alpha;          // lerp: [heads * q.count()], in [0, 1]
  std::vector<int64_t> row_offsets;  // listed: as the lists of the softmax part
  std::vector<int32_t> cols;
  bool operator==(const LinearPart&) const = default;
};

constexpr int64_t kForever = std::numeric_limits<int64_t>::max();

struct PlanParts {
  int heads = 1;  // number of list sets; 1 = one set shared by all heads
  Blocks q, k;
  bool dense = false;                // no lists
  std::vector<int64_t> row_offsets;  // [heads * q.count() + 1]
  std::vector<int32_t> cols;         // key-block indices
  std::vector<float> k_bias;         // per key block, natural-log units, added to the logits; empty = none

  std::vector<int32_t> head_set;  // per model head its list set; empty = set h for head h, or the only one for all
  // Partly kept blocks. Mask m is q.block rows of mask_row_words() words from mask_words[m * q.block * row words];
  // bit c % 64 of word c / 64 of row r keeps the pair (r, c). Bits beyond a block's valid counts are clear.
  std::vector<int32_t> mask_of;      // per entry of cols: its mask, -1 = the whole block; empty = all whole
  std::vector<uint64_t> mask_words;  // masks may be shared by many blocks

  TokenOrder q_order, k_order;  // v follows k
  std::optional<LinearPart> linear;

  int64_t valid_until = kForever;  // last denoising step this plan may serve
  double planning_seconds = 0;     // what making it took; not part of its identity

  int64_t mask_row_words() const { return (int64_t(k.block) + 63) / 64; }
  int64_t mask_size() const { return int64_t(q.block) * mask_row_words(); }  // words a mask
  int64_t mask_count() const { return mask_size() > 0 ? int64_t(mask_words.size()) / mask_size() : 0; }
};

struct PlanStats {
  double density = 1;       // kept fraction of (query, key) pairs of the softmax part, from true token counts
  int64_t kept_blocks = 0;  // summed over list sets
  int64_t masked_blocks = 0;
  int64_t empty_rows = 0;  // query blocks that read nothing
  int64_t max_row = 0;     // most key blocks one query block reads: capacity for kernels
  size_t bytes = 0;        // of the lists, masks and orders
  double planning_seconds = 0;
};

using PlanHash = std::array<uint8_t, 32>;

// Those who keep something made from a plan know it again by weak_from_this().
class AttentionPlan : public std::enable_shared_from_this<AttentionPlan> {
 public:
  // Validates everything (kernels/plan/plan_check.h) and settles the statistics; one line per refusal.
  static Result<std::shared_ptr<const AttentionPlan>> make(PlanParts parts);
  static std::shared_ptr<const AttentionPlan> dense(int64_t nq, int64_t nk, int block_q = 64, int block_k = 64);

  const PlanParts& parts() const { return p_; }
  bool is_dense() const { return p_.dense; }
  bool has_masks() const { return !p_.mask_of.empty(); }
  bool has_order() const { return p_.q_order.sets > 0 || p_.k_order.sets > 0; }
  bool has_linear() const { return p_.linear.has_value(); }
  bool has_head_map() const { return !p_.head_set.empty(); }
  // Model heads the plan is made for; 0 = any number.
  int64_t model_heads() const { return model_heads_; }
  int64_t set_of(int64_t head) const { return p_.head_set.empty() ? (p_.heads == 1 ? 0 : head) : p_.head_set[size_t(head)]; }

  int64_t nq() const { return nq_; }
  int64_t nk() const { return nk_; }
  // First token of each block, and the total at the end: [count + 1].
  const std::vector<int64_t>& q_starts() const { return q_starts_; }
  const std::vector<int64_t>& k_starts() const { return k_starts_; }

  // Key blocks of a query block; `masks` (empty = all whole) runs beside `cols`. Not for dense plans.
  struct Row {
    std::span<const int32_t> cols, masks;
  };
  Row row(int64_t set, int64_t q_block) const;
  const uint64_t* mask(int32_t m) const { return p_.mask_words.data() + int64_t(m) * p_.mask_size(); }

  const PlanStats& stats() const { return stats_; }
  // Kept fraction of (query, key) pairs, mean over heads.
  double density() const { return stats_.density; }
  // Of one head.
  double density(int64_t head) const { return set_density_[p_.dense ? 0 : size_t(set_of(head))]; }
  int64_t kept_blocks() const { return stats_.kept_blocks; }
  // Useful work for one batch entry and `heads` model heads: 4 * head_dim * kept pairs, plus the linear part.
  double flops(int64_t heads, int64_t head_dim) const;

  // SHA-256 over canonical bytes of all that decides the result and its horizon: equal on every machine.
  PlanHash hash() const;

  // One row of the boolean mask, in token order: keys[k] = 1 where query token q of the head reads key token k.
  void expand_row(int64_t head, int64_t q, std::span<uint8_t> keys) const;
  // The whole mask [nq, nk]; refused above kMaxExpand tokens a side.
  static constexpr int64_t kMaxExpand = 16384;
  Result<std::vector<uint8_t>> expand(int64_t head) const;
  // [q blocks, k blocks] of a list set: 1 = kept, whole or in part.
  std::vector<uint8_t> block_map(int64_t set) const;
  // Kept fraction per pixel, [height, width] over slots (block order), mean over heads for head = -1. A partly kept
  // block counts evenly over its area.
  std::vector<float> raster(int64_t head, int64_t height, int64_t width) const;

  // The plan of a shard: heads [head_begin, head_end), query and key blocks likewise. Its tensors hold the tokens of
  // those blocks, lowest token first (so a full range keeps tokens where they are). A plan without model heads is
  // the same for every head and takes any head range.
  struct Range {
    int64_t begin = 0, end = kForever;  // end is clamped to what there is
  };
  Result<std::shared_ptr<const AttentionPlan>> slice(Range heads, Range q_blocks, Range k_blocks) const;

 private:
  explicit AttentionPlan(PlanParts p);
  PlanParts p_;
  int64_t nq_ = 0, nk_ = 0, model_heads_ = 0;
  std::vector<int64_t> q_starts_, k_starts_;
  std::vector<double> set_density_;  // per list set; one entry for a dense plan
  PlanStats stats_;
};

using PlanPtr = std::shared_ptr<const AttentionPlan>;

// The dense plan of the latest lengths: most callers ask for the same ones again.
class DensePlan {
 public:
  const PlanPtr& of(int64_t nq, int64_t nk) {
    if (!plan_ || plan_->nq() != nq || plan_->nk() != nk) plan_ = AttentionPlan::dense(nq, nk);
    return plan_;
  }

 private:
  PlanPtr plan_;
};

std::string hex(const PlanHash& h);

}  // namespace zt
