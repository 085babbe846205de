#include "kernels/plan/plan_check.h"

#include <algorithm>
#include <cmath>

namespace zt {
namespace {

constexpr int64_t kMaxTokens = int64_t(1) << 27;  // orders and columns are int32; a 4K clip has 2^20 tokens
constexpr int64_t kMaxHeads = 4096;

Status check_blocks(const Blocks& b, std::string_view side) {
  if (b.block < 1 || b.block > 4096) return invalid("plan: {} block size {} is outside 1..4096", side, b.block);
  int64_t tokens = 0;
  for (size_t i = 0; i < b.valid.size(); ++i) {
    if (b.valid[i] < 1 || b.valid[i] > b.block) {
      return invalid("plan: {} block {} holds {} tokens, allowed are 1..{}", side, i, b.valid[i], b.block);
    }
    tokens += b.valid[i];
  }
  if (tokens > kMaxTokens) return invalid("plan: {} {} tokens, allowed are {}", tokens, side, kMaxTokens);
  return {};
}

Status check_lists(const PlanParts& p, const std::vector<int64_t>& row_offsets, const std::vector<int32_t>& cols,
                   std::string_view what) {
  int64_t rows = p.heads * p.q.count();
  if (int64_t(row_offsets.size()) != rows + 1) {
    return invalid("plan: {} {}row offsets, expected {}", row_offsets.size(), what, rows + 1);
  }
  if (row_offsets.front() != 0 || row_offsets.back() != int64_t(cols.size())) {
    return invalid("plan: {}row offsets must run from 0 to the number of kept blocks, {}", what, cols.size());
  }
  // All offsets first: a later smaller one would send the loop below out of range.
  for (int64_t r = 0; r < rows; ++r) {
    if (row_offsets[size_t(r)] > row_offsets[size_t(r) + 1]) return invalid("plan: {}row offset {} decreases", what, r + 1);
  }
  for (int64_t r = 0; r < rows; ++r) {
    int64_t b = row_offsets[size_t(r)], e = row_offsets[size_t(r) + 1];
    for (int64_t i = b; i < e; ++i) {
      int32_t c = cols[size_t(i)];
      if (c < 0 || c >= p.k.count()) {
        return invalid("plan: {}row {} names key block {}, allowed are 0..{}", what, r, c, p.k.count() - 1);
      }
      if (i > b && c <= cols[size_t(i) - 1]) {
        return invalid("plan: {}row {} is not sorted or names key block {} twice", what, r, c);
      }
    }
  }
  return {};
}

// Whether every kept pair of a mask lies inside the block's valid counts.
bool mask_fits(const PlanParts& p, const uint64_t* words, int32_t q_valid, int32_t k_valid) {
  int64_t row_words = p.mask_row_words();
  for (int64_t r = 0; r < p.q.block; ++r, words += row_words) {
    for (int64_t w = 0; w < row_words; ++w) {
      int64_t inside = r < q_valid ? k_valid - w * 64 : 0;
      uint64_t allowed = inside >= 64 ? ~uint64_t(0) : inside <= 0 ? 0 : (uint64_t(1) << inside) - 1;
      if (words[w] & ~allowed) return false;
    }
  }
  return true;
}

Status check_masks(const PlanParts& p) {
  if (p.mask_of.empty()) {
    if (!p.mask_words.empty()) return invalid("plan: {} words of masks that no block names", p.mask_words.size());
    return {};
  }
  if (p.mask_of.size() != p.cols.size()) {
    return invalid("plan: {} mask indices for {} kept blocks", p.mask_of.size(), p.cols.size());
  }
  if (int64_t(p.mask_words.size()) % p.mask_size() != 0) {
    return invalid("plan: {} mask words are not a whole number of masks of {}", p.mask_words.size(), p.mask_size());
  }
  for (int64_t m = 0; m < p.mask_count(); ++m) {
    const uint64_t* words = p.mask_words.data() + m * p.mask_size();
    bool any = false;
    for (int64_t i = 0; i < p.mask_size() && !any; ++i) any = words[i] != 0;
    if (!any) return invalid("plan: mask {} keeps no pair; leave the block out of the list", m);
    if (!mask_fits(p, words, p.q.block, p.k.block)) return invalid("plan: mask {} has bits beyond block size {}", m, p.k.block);
  }
  for (int64_t r = 0; r < p.heads * p.q.count(); ++r) {
    int32_t q_valid = p.q.valid[size_t(r % p.q.count())];
    for (int64_t i = p.row_offsets[size_t(r)]; i < p.row_offsets[size_t(r) + 1]; ++i) {
      int32_t m = p.mask_of[size_t(i)], k_valid = p.k.valid[size_t(p.cols[size_t(i)])];
      if (m < -1 || m >= p.mask_count()) {
        return invalid("plan: row {} names mask {}, allowed are -1..{}", r, m, p.mask_count() - 1);
      }
      bool tail = q_valid < p.q.block || k_valid < p.k.block;
      if (m >= 0 && tail && !mask_fits(p, p.mask_words.data() + m * p.mask_size(), q_valid, k_valid)) {
        return invalid("plan: mask {} keeps pairs beyond the {} x {} tokens of row {}, key block {}", m, q_valid, k_valid, r,
                       p.cols[size_t(i)]);
      }
    }
  }
  return {};
}

Status check_order(const TokenOrder& o, int64_t tokens, std::string_view side) {
  if (o.sets < 0 || o.sets > kMaxHeads) return invalid("plan: {} {} orders, allowed are 0..{}", o.sets, side, kMaxHeads);
  if (int64_t(o.order.size()) != o.sets * tokens) {
    return invalid("plan: {} order has {} entries, expected {} orders of {} tokens", side, o.order.size(), o.sets, tokens);
  }
  std::vector<uint8_t> seen;
  for (int64_t set = 0; set < o.sets; ++set) {
    seen.assign(size_t(tokens), 0);
    for (int64_t i = 0; i < tokens; ++i) {
      int32_t t = o.order[size_t(set * tokens + i)];
      if (t < 0 || t >= tokens) return invalid("plan: {} order {} names token {}, allowed are 0..{}", side, set, t, tokens - 1);
      if (seen[size_t(t)]++) return invalid("plan: {} order {} names token {} twice", side, set, t);
    }
  }
  if (o.sets == 0 && !o.head_set.empty()) return invalid("plan: {} order has heads but no order", side);
  for (size_t h = 0; h < o.head_set.size(); ++h) {
    if (o.head_set[h] < -1 || o.head_set[h] >= o.sets) {
      return invalid("plan: head {} uses {} order {}, allowed are -1..{}", h, side, o.head_set[h], o.sets - 1);
    }
  }
  return {};
}

Status check_linear(const PlanParts& p, const LinearPart& l) {
  bool listed = l.scope == LinearScope::listed;
  if (uint8_t(l.scope) > uint8_t(LinearScope::listed) || uint8_t(l.feature) > uint8_t(FeatureMap::relu) ||
      uint8_t(l.blend) > uint8_t(Blend::lerp)) {
    return invalid("plan: linear part of an unknown kind");
  }
  if (listed) ZT_RETURN_IF_ERROR(check_lists(p, l.row_offsets, l.cols, "linear "));
  if (!listed && !(l.row_offsets.empty() && l.cols.empty())) return invalid("plan: linear lists need the scope `listed`");
  size_t expected = l.blend == Blend::lerp ? size_t(p.heads * p.q.count()) : 0;
  if (l.alpha.size() != expected) return invalid("plan: {} blend factors, expected {}", l.alpha.size(), expected);
  for (float a : l.alpha) {
    if (!(a >= 0 && a <= 1)) return invalid("plan: blend factor {} is outside 0..1", a);
  }
  return {};
}

int64_t heads_of(const TokenOrder& o) { return !o.head_set.empty() ? int64_t(o.head_set.size()) : o.sets > 1 ? o.sets : 0; }

int64_t heads_of_lists(const PlanParts& p) {
  return !p.head_set.empty() ? int64_t(p.head_set.size()) : p.heads > 1 ? p.heads : 0;
}

}  // namespace

int64_t model_heads_of(const PlanParts& p) { return std::max({heads_of_lists(p), heads_of(p.q_order), heads_of(p.k_order)}); }

Status check_plan(const PlanParts& p) {
  if (p.heads < 1 || p.heads > kMaxHeads) return invalid("plan: {} heads, allowed are 1..{}", p.heads, kMaxHeads);
  ZT_RETURN_IF_ERROR(check_blocks(p.q, "query"));
  ZT_RETURN_IF_ERROR(check_blocks(p.k, "key"));
  if (!p.k_bias.empty() && int64_t(p.k_bias.size()) != p.k.count()) {
    return invalid("plan: {} key biases for {} key blocks", p.k_bias.size(), p.k.count());
  }
  for (size_t i = 0; i < p.k_bias.size(); ++i) {
    if (!std::isfinite(p.k_bias[i])) return invalid("plan: key bias {} is not finite; leave the block out of the lists", i);
  }
  for (size_t h = 0; h < p.head_set.size(); ++h) {
    if (p.head_set[h] < 0 || p.head_set[h] >= p.heads) {
      return invalid("plan: head {} uses list set {}, allowed are 0..{}", h, p.head_set[h], p.heads - 1);
    }
  }
  if (p.head_set.size() > size_t(kMaxHeads))
    return invalid("plan: {} model heads, allowed are 1..{}", p.head_set.size(), kMaxHeads);
  if (p.dense) {
    if (!p.row_offsets.empty() || !p.cols.empty() || !p.mask_of.empty() || !p.mask_words.empty()) {
      return invalid("plan: a dense plan has no lists and no masks");
    }
  } else {
    ZT_RETURN_IF_ERROR(check_lists(p, p.row_offsets, p.cols, ""));
    ZT_RETURN_IF_ERROR(check_masks(p));
  }
  ZT_RETURN_IF_ERROR(check_order(p.q_order, p.q.tokens(), "query"));
  ZT_RETURN_IF_ERROR(check_order(p.k_order, p.k.tokens(), "key"));
  if (p.linear) ZT_RETURN_IF_ERROR(check_linear(p, *p.linear));
  int64_t heads = model_heads_of(p);
  for (int64_t h : {heads_of_lists(p), heads_of(p.q_order), heads_of(p.k_order)}) {
    if (h != 0 && h != heads) return invalid("plan: lists and orders disagree on the number of heads, {} and {}", h, heads);
  }
  return {};
}

}  // namespace zt
