// How attention is computed, as data: which key blocks each query block reads. Immutable once made.
//
// Tokens of q and of k are cut into consecutive blocks; block i holds valid[i] <= block tokens, and its first
// token is the sum of the counts before it (so a tail, or a tile of 63 of 64 tokens, needs no padding).
// A head's lists are CSR: row r (a query block) reads the key blocks cols[row_offsets[r] .. row_offsets[r+1]),
// sorted and unique. A plan without lists is dense: every row reads every key block.
#pragma once

#include <cstdint>
#include <memory>
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
};

struct PlanParts {
  int heads = 1;  // number of list sets; 1 = one set shared by all heads
  Blocks q, k;
  bool dense = false;                // no lists
  std::vector<int64_t> row_offsets;  // [heads * q.count() + 1]
  std::vector<int32_t> cols;         // key-block indices
  std::vector<float> k_bias;         // per key block, natural-log units, added to the logits; empty = none
};

class AttentionPlan {
 public:
  // Validates: counts in range, offsets monotonic, columns sorted, unique and in range.
  static Result<std::shared_ptr<const AttentionPlan>> make(PlanParts parts);
  static std::shared_ptr<const AttentionPlan> dense(int64_t nq, int64_t nk, int block_q = 64, int block_k = 64);

  const PlanParts& parts() const { return p_; }
  bool is_dense() const { return p_.dense; }
  int64_t nq() const { return nq_; }
  int64_t nk() const { return nk_; }
  // First token of each block, and the total at the end: [count + 1].
  const std::vector<int64_t>& q_starts() const { return q_starts_; }
  const std::vector<int64_t>& k_starts() const { return k_starts_; }
  // Kept fraction of (query, key) pairs, mean over heads.
  double density() const { return density_; }
  // 4 * head_dim * kept pairs, for one batch entry and `heads` model heads.
  double flops(int64_t heads, int64_t head_dim) const;
  int64_t kept_blocks() const;

 private:
  explicit AttentionPlan(PlanParts p);
  PlanParts p_;
  int64_t nq_ = 0, nk_ = 0;
  std::vector<int64_t> q_starts_, k_starts_;
  double density_ = 1;
};

using PlanPtr = std::shared_ptr<const AttentionPlan>;

}  // namespace zt
