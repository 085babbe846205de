#include "tests/kernels/plan_random.h"

#include <numeric>

namespace zt::testing {
namespace {

Blocks random_blocks(Random& r, int64_t max_tokens) {
  static constexpr int kSizes[] = {1, 3, 8, 16, 63, 64, 65, 128};
  Blocks b{kSizes[r.below(8)], {}};
  int64_t left = 1 + r.below(max_tokens);
  bool uniform = r.below(2) == 0;
  while (left > 0) {
    int64_t n = std::min<int64_t>(left, uniform ? b.block : 1 + r.below(b.block));
    b.valid.push_back(int32_t(n));
    left -= n;
  }
  return b;
}

void random_lists(Random& r, const PlanParts& p, bool empty_rows, std::vector<int64_t>& offsets, std::vector<int32_t>& cols) {
  offsets = {0};
  double keep = r.uniform();
  for (int64_t row = 0; row < p.heads * p.q.count(); ++row) {
    size_t before = cols.size();
    for (int64_t c = 0; c < p.k.count(); ++c) {
      if (r.uniform() < keep) cols.push_back(int32_t(c));
    }
    if (cols.size() == before && !empty_rows) cols.push_back(int32_t(r.below(p.k.count())));
    offsets.push_back(int64_t(cols.size()));
  }
}

// A mask of its own for about half of the kept blocks, sometimes one that another block of the same size has.
void random_masks(Random& r, PlanParts& p) {
  std::vector<std::pair<int32_t, int32_t>> sizes;  // of each mask
  for (int64_t row = 0; row < p.heads * p.q.count(); ++row) {
    int32_t qv = p.q.valid[size_t(row % p.q.count())];
    for (int64_t i = p.row_offsets[size_t(row)]; i < p.row_offsets[size_t(row) + 1]; ++i) {
      int32_t kv = p.k.valid[size_t(p.cols[size_t(i)])];
      p.mask_of.push_back(-1);
      if (r.below(2) == 0) continue;
      if (!sizes.empty() && sizes.back() == std::pair{qv, kv} && r.below(2) == 0) {
        p.mask_of.back() = int32_t(sizes.size()) - 1;
        continue;
      }
      p.mask_of.back() = int32_t(sizes.size());
      sizes.emplace_back(qv, kv);
      size_t at = p.mask_words.size();
      p.mask_words.resize(at + size_t(p.mask_size()), 0);
      for (int64_t n = 1 + r.below(int64_t(qv) * kv); n > 0; --n) {
        int64_t q = r.below(qv), k = r.below(kv);
        p.mask_words[at + size_t(q * p.mask_row_words() + k / 64)] |= uint64_t(1) << (k % 64);
      }
    }
  }
}

TokenOrder random_order(Random& r, int64_t tokens, int64_t heads) {
  TokenOrder o;
  o.sets = int(1 + r.below(heads));
  for (int s = 0; s < o.sets; ++s) {
    std::vector<int32_t> order(static_cast<size_t>(tokens));
    std::iota(order.begin(), order.end(), 0);
    for (int64_t i = tokens - 1; i > 0; --i) std::swap(order[size_t(i)], order[size_t(r.below(i + 1))]);
    o.order.insert(o.order.end(), order.begin(), order.end());
  }
  bool implicit = o.sets == 1 || o.sets == heads;
  if (implicit && r.below(2) == 0) return o;
  for (int64_t h = 0; h < heads; ++h) o.head_set.push_back(int32_t(r.below(o.sets + 1)) - 1);
  return o;
}

}  // namespace

PlanParts random_parts(Random& r, const RandomPlanOptions& o) {
  PlanParts p;
  p.q = random_blocks(r, o.max_tokens);
  p.k = random_blocks(r, o.max_tokens);
  p.dense = r.below(12) == 0;
  p.heads = r.below(2) == 0 ? 1 : int(o.heads);
  if (o.head_map && r.below(3) == 0) {
    p.heads = int(1 + r.below(o.heads));
    for (int64_t h = 0; h < o.heads; ++h) p.head_set.push_back(int32_t(r.below(p.heads)));
  }
  if (!p.dense) {
    random_lists(r, p, o.empty_rows, p.row_offsets, p.cols);
    if (o.masks && r.below(2) == 0) random_masks(r, p);
  }
  if (o.bias && r.below(3) == 0) {
    for (int64_t c = 0; c < p.k.count(); ++c) p.k_bias.push_back(r.normal());
  }
  if (o.orders && r.below(3) == 0) p.q_order = random_order(r, p.q.tokens(), o.heads);
  if (o.orders && r.below(3) == 0) p.k_order = random_order(r, p.k.tokens(), o.heads);
  if (o.linear && r.below(3) == 0) {
    LinearPart l;
    l.scope = LinearScope(r.below(3));
    l.feature = FeatureMap(r.below(3));
    l.projection = r.below(2) == 0;
    l.blend = Blend(r.below(2));
    if (l.scope == LinearScope::listed) random_lists(r, p, true, l.row_offsets, l.cols);
    for (int64_t i = 0; l.blend == Blend::lerp && i < p.heads * p.q.count(); ++i) l.alpha.push_back(float(r.uniform()));
    p.linear = std::move(l);
  }
  if (r.below(4) == 0) p.valid_until = r.below(50);
  return p;
}

}  // namespace zt::testing
