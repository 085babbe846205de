#include <algorithm>
#include <numeric>

#include "kernels/plan/attention_plan.h"
#include "kernels/plan/plan_check.h"

namespace zt {
namespace {

using Range = AttentionPlan::Range;

Status clamp(Range& r, int64_t count, std::string_view what) {
  r.end = std::min(r.end, count);
  if (r.begin < 0 || r.begin > r.end) return invalid("plan: slice of {} {}..{}, there are {}", what, r.begin, r.end, count);
  return {};
}

Blocks slice_blocks(const Blocks& b, Range r) { return {b.block, {b.valid.begin() + r.begin, b.valid.begin() + r.end}}; }

// Which sets (of lists or of orders) a range of heads needs, and the heads' new map: sets in the order of first use.
struct Sets {
  std::vector<int32_t> keep, head_set;
};

Sets slice_sets(int64_t sets, const std::vector<int32_t>& head_set, Range heads) {
  Sets s;
  if (head_set.empty()) {
    int64_t first = sets > 1 ? heads.begin : 0, last = sets > 1 ? heads.end : sets;
    for (int64_t i = first; i < last; ++i) s.keep.push_back(int32_t(i));
    return s;
  }
  std::vector<int32_t> renamed(size_t(sets), -1);
  for (int64_t h = heads.begin; h < heads.end; ++h) {
    int32_t set = head_set[size_t(h)];
    if (set >= 0 && renamed[size_t(set)] < 0) {
      renamed[size_t(set)] = int32_t(s.keep.size());
      s.keep.push_back(set);
    }
    s.head_set.push_back(set < 0 ? -1 : renamed[size_t(set)]);
  }
  if (s.keep.empty()) s.head_set.clear();  // every head left in place
  return s;
}

struct Lists {
  std::vector<int64_t> row_offsets{0};
  std::vector<int32_t> cols, mask_of;
};

// Lists of the kept sets, rows and columns; column numbers start at 0 again.
Lists slice_lists(const std::vector<int64_t>& offsets, const std::vector<int32_t>& cols, const std::vector<int32_t>& mask_of,
                  const std::vector<int32_t>& sets, int64_t rows, Range q, Range k) {
  Lists out;
  for (int64_t s : sets) {
    for (int64_t r = q.begin; r < q.end; ++r) {
      for (int64_t i = offsets[size_t(s * rows + r)]; i < offsets[size_t(s * rows + r) + 1]; ++i) {
        int32_t c = cols[size_t(i)];
        if (c < k.begin || c >= k.end) continue;
        out.cols.push_back(int32_t(c - k.begin));
        if (!mask_of.empty()) out.mask_of.push_back(mask_of[size_t(i)]);
      }
      out.row_offsets.push_back(int64_t(out.cols.size()));
    }
  }
  return out;
}

// Keeps the masks that are still named, in the order of their first use.
void compact_masks(const PlanParts& from, PlanParts& to) {
  std::vector<int32_t> renamed(size_t(from.mask_count()), -1);
  int32_t count = 0;
  for (int32_t& m : to.mask_of) {
    if (m < 0) continue;
    int32_t& name = renamed[size_t(m)];
    if (name < 0) {
      name = count++;
      auto words = from.mask_words.begin() + int64_t(m) * from.mask_size();
      to.mask_words.insert(to.mask_words.end(), words, words + from.mask_size());
    }
    m = name;
  }
  if (count == 0) to.mask_of.clear();
}

// Slots [begin, end) of each set; tokens become their rank among the shard's tokens.
TokenOrder slice_order(const TokenOrder& in, int64_t tokens, int64_t begin, int64_t end, Range heads) {
  TokenOrder out;
  Sets sets = slice_sets(in.sets, in.head_set, heads);
  out.sets = int(sets.keep.size());
  out.head_set = std::move(sets.head_set);
  std::vector<int32_t> rank(static_cast<size_t>(tokens));
  for (int64_t s : sets.keep) {
    std::fill(rank.begin(), rank.end(), 0);
    const int32_t* order = in.order.data() + s * tokens;
    for (int64_t i = begin; i < end; ++i) rank[size_t(order[i])] = 1;
    std::exclusive_scan(rank.begin(), rank.end(), rank.begin(), 0);
    for (int64_t i = begin; i < end; ++i) out.order.push_back(rank[size_t(order[i])]);
  }
  return out;
}

LinearPart slice_linear(const LinearPart& in, const std::vector<int32_t>& sets, int64_t rows, Range q, Range k) {
  LinearPart out = in;
  if (in.scope == LinearScope::listed) {
    Lists lists = slice_lists(in.row_offsets, in.cols, {}, sets, rows, q, k);
    out.row_offsets = std::move(lists.row_offsets);
    out.cols = std::move(lists.cols);
  }
  out.alpha.clear();
  if (in.blend == Blend::lerp) {
    for (int64_t s : sets)
      out.alpha.insert(out.alpha.end(), in.alpha.begin() + s * rows + q.begin, in.alpha.begin() + s * rows + q.end);
  }
  return out;
}

}  // namespace

Result<PlanPtr> AttentionPlan::slice(Range heads, Range q_blocks, Range k_blocks) const {
  int64_t any = heads.end == kForever ? heads.begin + 1 : heads.end;  // the same for every head: take what is asked
  ZT_RETURN_IF_ERROR(clamp(heads, model_heads_ > 0 ? model_heads_ : any, "heads"));
  ZT_RETURN_IF_ERROR(clamp(q_blocks, p_.q.count(), "query blocks"));
  ZT_RETURN_IF_ERROR(clamp(k_blocks, p_.k.count(), "key blocks"));
  if (heads.begin == heads.end) return invalid("plan: slice without heads");
  PlanParts out;
  out.q = slice_blocks(p_.q, q_blocks);
  out.k = slice_blocks(p_.k, k_blocks);
  Sets sets = slice_sets(p_.heads, p_.head_set, heads);
  out.heads = int(sets.keep.size());
  out.head_set = std::move(sets.head_set);
  out.dense = p_.dense;
  out.valid_until = p_.valid_until;
  if (!p_.dense) {
    Lists lists = slice_lists(p_.row_offsets, p_.cols, p_.mask_of, sets.keep, p_.q.count(), q_blocks, k_blocks);
    out.row_offsets = std::move(lists.row_offsets);
    out.cols = std::move(lists.cols);
    out.mask_of = std::move(lists.mask_of);
    compact_masks(p_, out);
  }
  if (!p_.k_bias.empty()) out.k_bias.assign(p_.k_bias.begin() + k_blocks.begin, p_.k_bias.begin() + k_blocks.end);
  out.q_order = slice_order(p_.q_order, nq_, q_starts_[size_t(q_blocks.begin)], q_starts_[size_t(q_blocks.end)], heads);
  out.k_order = slice_order(p_.k_order, nk_, k_starts_[size_t(k_blocks.begin)], k_starts_[size_t(k_blocks.end)], heads);
  if (p_.linear) out.linear = slice_linear(*p_.linear, sets.keep, p_.q.count(), q_blocks, k_blocks);
  return make(std::move(out));
}

}  // namespace zt
