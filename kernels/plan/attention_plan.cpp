#include "kernels/plan/attention_plan.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "kernels/plan/plan_check.h"

namespace zt {

Blocks Blocks::uniform(int64_t tokens, int block) {
  Blocks b{block, {}};
  for (int64_t left = tokens; left > 0; left -= block) b.valid.push_back(int32_t(std::min<int64_t>(left, block)));
  return b;
}

int64_t Blocks::tokens() const { return std::accumulate(valid.begin(), valid.end(), int64_t(0)); }

int TokenOrder::set_of(int64_t head) const {
  if (sets == 0) return -1;
  if (!head_set.empty()) return head_set[size_t(head)];
  return sets == 1 ? 0 : int(head);
}

namespace {

std::vector<int64_t> starts(const Blocks& b) {
  std::vector<int64_t> s(b.valid.size() + 1, 0);
  std::partial_sum(b.valid.begin(), b.valid.end(), s.begin() + 1, [](int64_t a, int64_t v) { return a + v; });
  return s;
}

void fill_inverse(TokenOrder& o, int64_t tokens) {
  o.inverse.resize(o.order.size());
  for (int64_t set = 0; set < o.sets; ++set) {
    for (int64_t slot = 0; slot < tokens; ++slot) {
      o.inverse[size_t(set * tokens + o.order[size_t(set * tokens + slot)])] = int32_t(slot);
    }
  }
}

template <class T>
size_t bytes_of(const std::vector<T>& v) {
  return v.size() * sizeof(T);
}

size_t plan_bytes(const PlanParts& p) {
  size_t n = bytes_of(p.q.valid) + bytes_of(p.k.valid) + bytes_of(p.row_offsets) + bytes_of(p.cols) + bytes_of(p.k_bias) +
             bytes_of(p.head_set) + bytes_of(p.mask_of) + bytes_of(p.mask_words);
  for (const TokenOrder* o : {&p.q_order, &p.k_order}) n += bytes_of(o->order) + bytes_of(o->inverse) + bytes_of(o->head_set);
  if (p.linear) n += bytes_of(p.linear->alpha) + bytes_of(p.linear->row_offsets) + bytes_of(p.linear->cols);
  return n;
}

}  // namespace

AttentionPlan::AttentionPlan(PlanParts p)
    : p_(std::move(p)),
      nq_(p_.q.tokens()),
      nk_(p_.k.tokens()),
      model_heads_(model_heads_of(p_)),
      q_starts_(starts(p_.q)),
      k_starts_(starts(p_.k)) {
  fill_inverse(p_.q_order, nq_);
  fill_inverse(p_.k_order, nk_);
  stats_.bytes = plan_bytes(p_);
  stats_.planning_seconds = p_.planning_seconds;
  int64_t q_count = p_.q.count(), k_count = p_.k.count();
  if (p_.dense) {
    stats_.kept_blocks = p_.heads * q_count * k_count;
    stats_.max_row = k_count;
    stats_.density = nq_ > 0 && nk_ > 0 ? 1 : 0;
    set_density_ = {stats_.density};
    stats_.empty_rows = k_count == 0 ? p_.heads * q_count : 0;
    return;
  }
  std::vector<int64_t> mask_pairs(size_t(p_.mask_count()), 0);
  for (size_t m = 0; m < mask_pairs.size(); ++m) {
    const uint64_t* words = mask(int32_t(m));
    for (int64_t i = 0; i < p_.mask_size(); ++i) mask_pairs[m] += std::popcount(words[i]);
  }
  std::vector<double> kept(size_t(p_.heads), 0.0);  // pairs per list set; exact in double below 2^53
  for (int64_t set = 0; set < p_.heads; ++set) {
    for (int64_t r = 0; r < q_count; ++r) {
      Row list = row(set, r);
      int64_t keys = 0, masked = 0;
      for (size_t i = 0; i < list.cols.size(); ++i) {
        int32_t m = list.masks.empty() ? -1 : list.masks[i];
        if (m < 0) {
          keys += p_.k.valid[size_t(list.cols[i])];
        } else {
          masked += mask_pairs[size_t(m)], ++stats_.masked_blocks;
        }
      }
      kept[size_t(set)] += double(keys) * p_.q.valid[size_t(r)] + double(masked);
      stats_.empty_rows += list.cols.empty();
      stats_.max_row = std::max(stats_.max_row, int64_t(list.cols.size()));
    }
  }
  stats_.kept_blocks = int64_t(p_.cols.size());
  double pairs = 0;  // of all heads, or of all list sets when they are the heads
  int64_t heads = p_.head_set.empty() ? p_.heads : int64_t(p_.head_set.size());
  for (int64_t h = 0; h < heads; ++h) pairs += kept[size_t(set_of(h))];
  double all = double(heads) * double(nq_) * double(nk_);
  stats_.density = all > 0 ? pairs / all : 0;
  for (double k : kept) set_density_.push_back(all > 0 ? k / (double(nq_) * double(nk_)) : 0);
}

Result<PlanPtr> AttentionPlan::make(PlanParts p) {
  ZT_RETURN_IF_ERROR(check_plan(p));
  return PlanPtr(new AttentionPlan(std::move(p)));
}

PlanPtr AttentionPlan::dense(int64_t nq, int64_t nk, int block_q, int block_k) {
  PlanParts p;
  p.q = Blocks::uniform(nq, block_q);
  p.k = Blocks::uniform(nk, block_k);
  p.dense = true;
  return PlanPtr(new AttentionPlan(std::move(p)));
}

AttentionPlan::Row AttentionPlan::row(int64_t set, int64_t q_block) const {
  size_t r = size_t(set * p_.q.count() + q_block);
  size_t b = size_t(p_.row_offsets[r]), n = size_t(p_.row_offsets[r + 1]) - b;
  return {{p_.cols.data() + b, n}, p_.mask_of.empty() ? std::span<const int32_t>() : std::span(p_.mask_of.data() + b, n)};
}

double AttentionPlan::flops(int64_t heads, int64_t head_dim) const {
  double d = double(head_dim), softmax = 4.0 * d * density() * double(nq_) * double(nk_);
  if (!p_.linear) return double(heads) * softmax;
  // phi(K)^T V once, phi(Q) times it, the projection; other scopes than `global` also add or take away one d x d sum
  // per (query block, key block) of the shorter list.
  double linear = 2 * d * d * double(nk_ + nq_);
  if (p_.linear->projection) linear += 2 * d * d * double(nq_);
  double lists = double(p_.linear->scope == LinearScope::complement ? stats_.kept_blocks : int64_t(p_.linear->cols.size()));
  if (p_.linear->scope != LinearScope::global) linear += d * d * lists / p_.heads;
  return double(heads) * (softmax + linear);
}

}  // namespace zt
