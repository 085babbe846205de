#include "kernels/plan/attention_plan.h"

#include <algorithm>
#include <numeric>

namespace zt {

Blocks Blocks::uniform(int64_t tokens, int block) {
  Blocks b{block, {}};
  for (int64_t left = tokens; left > 0; left -= block) b.valid.push_back(int32_t(std::min<int64_t>(left, block)));
  return b;
}

int64_t Blocks::tokens() const { return std::accumulate(valid.begin(), valid.end(), int64_t(0)); }

namespace {

std::vector<int64_t> starts(const Blocks& b) {
  std::vector<int64_t> s(b.valid.size() + 1, 0);
  std::partial_sum(b.valid.begin(), b.valid.end(), s.begin() + 1, [](int64_t a, int64_t v) { return a + v; });
  return s;
}

Status check_blocks(const Blocks& b, std::string_view side) {
  if (b.block < 1 || b.block > 4096) return invalid("plan: {} block size {} is outside 1..4096", side, b.block);
  for (size_t i = 0; i < b.valid.size(); ++i) {
    if (b.valid[i] < 1 || b.valid[i] > b.block) {
      return invalid("plan: {} block {} holds {} tokens, allowed are 1..{}", side, i, b.valid[i], b.block);
    }
  }
  return {};
}

Status check_lists(const PlanParts& p) {
  int64_t rows = p.heads * p.q.count();
  if (int64_t(p.row_offsets.size()) != rows + 1) return invalid("plan: {} row offsets, expected {}", p.row_offsets.size(), rows + 1);
  if (p.row_offsets.front() != 0 || p.row_offsets.back() != int64_t(p.cols.size())) {
    return invalid("plan: row offsets must run from 0 to the number of kept blocks, {}", p.cols.size());
  }
  for (int64_t r = 0; r < rows; ++r) {
    int64_t b = p.row_offsets[size_t(r)], e = p.row_offsets[size_t(r) + 1];
    if (b > e) return invalid("plan: row offset {} decreases", r + 1);
    for (int64_t i = b; i < e; ++i) {
      int32_t c = p.cols[size_t(i)];
      if (c < 0 || c >= p.k.count()) return invalid("plan: row {} names key block {}, allowed are 0..{}", r, c, p.k.count() - 1);
      if (i > b && c <= p.cols[size_t(i) - 1]) return invalid("plan: row {} is not sorted or names key block {} twice", r, c);
    }
  }
  return {};
}

}  // namespace

AttentionPlan::AttentionPlan(PlanParts p)
    : p_(std::move(p)), nq_(p_.q.tokens()), nk_(p_.k.tokens()), q_starts_(starts(p_.q)), k_starts_(starts(p_.k)) {
  if (p_.dense) return;
  double kept = 0;
  for (int64_t r = 0; r < p_.heads * p_.q.count(); ++r) {
    int64_t keys = 0;
    for (int64_t i = p_.row_offsets[size_t(r)]; i < p_.row_offsets[size_t(r) + 1]; ++i) keys += p_.k.valid[size_t(p_.cols[size_t(i)])];
    kept += double(keys) * p_.q.valid[size_t(r % p_.q.count())];
  }
  double all = double(p_.heads) * double(nq_) * double(nk_);
  density_ = all > 0 ? kept / all : 0;
}

Result<PlanPtr> AttentionPlan::make(PlanParts p) {
  if (p.heads < 1) return invalid("plan: {} heads", p.heads);
  ZT_RETURN_IF_ERROR(check_blocks(p.q, "query"));
  ZT_RETURN_IF_ERROR(check_blocks(p.k, "key"));
  if (!p.k_bias.empty() && int64_t(p.k_bias.size()) != p.k.count()) {
    return invalid("plan: {} key biases for {} key blocks", p.k_bias.size(), p.k.count());
  }
  if (!p.dense) ZT_RETURN_IF_ERROR(check_lists(p));
  return PlanPtr(new AttentionPlan(std::move(p)));
}

PlanPtr AttentionPlan::dense(int64_t nq, int64_t nk, int block_q, int block_k) {
  PlanParts p;
  p.q = Blocks::uniform(nq, block_q);
  p.k = Blocks::uniform(nk, block_k);
  p.dense = true;
  return PlanPtr(new AttentionPlan(std::move(p)));
}

double AttentionPlan::flops(int64_t heads, int64_t head_dim) const {
  return 4.0 * double(head_dim) * double(heads) * density_ * double(nq_) * double(nk_);
}

int64_t AttentionPlan::kept_blocks() const {
  return p_.dense ? p_.heads * p_.q.count() * p_.k.count() : int64_t(p_.cols.size());
}

}  // namespace zt
