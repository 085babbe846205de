// Random plans for the comparisons: odd blocks, lists with empty rows, masks, orders, biases.
#pragma once

#include <algorithm>
#include <numeric>

#include "kernels/plan/attention_plan.h"
#include "tests/support/cuda_ops/checker.h"

namespace zt::testing {

inline Blocks random_blocks(Dice& r, int64_t n, int block = 0) {
  Blocks b{block ? block : int(1 + r.below(100)), {}};
  for (int64_t left = n; left > 0; left -= b.valid.back())
    b.valid.push_back(int32_t(std::min<int64_t>(left, r.below(3) == 0 ? 1 + r.below(b.block) : b.block)));
  return b;
}

inline TokenOrder random_order(Dice& r, int64_t n, int64_t heads) {
  TokenOrder o;
  o.sets = 2;
  for (int s = 0; s < o.sets; ++s) {
    std::vector<int32_t> order(static_cast<size_t>(n));
    std::iota(order.begin(), order.end(), 0);
    for (int64_t i = n - 1; i > 0; --i) std::swap(order[size_t(i)], order[size_t(r.below(i + 1))]);
    o.order.insert(o.order.end(), order.begin(), order.end());
  }
  for (int64_t h = 0; h < heads; ++h) o.head_set.push_back(int32_t(r.below(3)) - 1);
  return o;
}

struct PlanTraits {
  bool dense = false, masks = false, order = false, bias = false, own_lists = false, linear = false;
  int block_q = 0, block_k = 0;  // 0: random
};

inline PlanPtr random_plan(Dice& r, int64_t nq, int64_t nk, int64_t heads, const PlanTraits& t) {
  PlanParts p;
  p.q = random_blocks(r, nq, t.block_q), p.k = random_blocks(r, nk, t.block_k), p.dense = t.dense;
  p.heads = t.own_lists ? int(heads) : 1;
  if (!t.dense) {
    p.row_offsets = {0};
    const double keep = r.uniform();
    for (int64_t row = 0; row < p.heads * p.q.count(); ++row) {
      for (int64_t c = 0; c < p.k.count(); ++c) {
        if (r.uniform() < keep) p.cols.push_back(int32_t(c));
      }
      p.row_offsets.push_back(int64_t(p.cols.size()));
    }
  }
  if (t.bias) {
    for (int64_t b = 0; b < p.k.count(); ++b) p.k_bias.push_back(r.normal());
  }
  if (t.masks && !t.dense) {
    for (int64_t row = 0; row < p.heads * p.q.count(); ++row) {
      const int32_t qv = p.q.valid[size_t(row % p.q.count())];
      for (int64_t i = p.row_offsets[size_t(row)]; i < p.row_offsets[size_t(row) + 1]; ++i) {
        const int32_t kv = p.k.valid[size_t(p.cols[size_t(i)])];
        p.mask_of.push_back(r.below(2) ? -1 : int32_t(p.mask_count()));
        if (p.mask_of.back() < 0) continue;
        const size_t at = p.mask_words.size();
        p.mask_words.resize(at + size_t(p.mask_size()), 0);
        for (int64_t n = 1 + r.below(int64_t(qv) * kv); n > 0; --n) {
          const int64_t q = r.below(qv), k = r.below(kv);
          p.mask_words[at + size_t(q * p.mask_row_words() + k / 64)] |= uint64_t(1) << (k % 64);
        }
      }
    }
    if (p.mask_words.empty()) p.mask_of.clear();
  }
  if (t.linear) {
    LinearPart l;
    l.scope = r.below(2) ? LinearScope::global : LinearScope::complement;
    l.feature = FeatureMap(r.below(3)), l.projection = true, l.blend = Blend(r.below(2));
    for (int64_t i = 0; l.blend == Blend::lerp && i < p.heads * p.q.count(); ++i) l.alpha.push_back(float(r.uniform()));
    p.linear = std::move(l);
  }
  if (t.order) p.q_order = random_order(r, nq, heads), p.k_order = random_order(r, nk, heads);
  return need(AttentionPlan::make(std::move(p)));
}

}  // namespace zt::testing
