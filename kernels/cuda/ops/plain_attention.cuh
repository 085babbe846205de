// Attention by any plan without a linear part, for heads of any width up to 512, in f32 arithmetic: what the tensor-core kernel
// does not take (f32, the VAE's one wide head, orders of tokens) and what it is compared with on a card. One block a query
// block and head; sixteen rows at a time, four a warp; a lane is a key for the logits and a channel for the values.
#pragma once

#include <vector>

#include "kernels/api/attention.h"
#include "kernels/api/checks.h"
#include "kernels/cuda/ops/access.cuh"

namespace zt::cuda {
namespace {

struct PlainAttentionKernel {
  static constexpr std::string_view kName = "plain_attention";
  static constexpr int kThreads = 128, kMinBlocks = 2, kWarps = 4;
  static constexpr int kRows = 4, kTile = kWarps * kRows, kKeys = 32, kMaxWidth = 512;
  static constexpr uint32_t shared(int d) { return uint32_t(16 + (kTile * d + kKeys * (d + 1)) * 4); }

  struct Heads {
    Values v;
    int64_t b, h, n;  // strides
  };
  struct Order {  // of tokens; set -1 or none = in place
    hw::gptr<const int32_t> slots, set_of_head;
    int64_t tokens;
    bool there;
  };
  struct Params {
    Heads q, k, v, out;
    hw::gptr<float> lse, mass;
    hw::gptr<const float> mass_lse, k_bias;
    hw::gptr<const int32_t> q_starts, k_starts, cols, mask_of, set_of_head;
    hw::gptr<const int64_t> row_offsets;
    hw::gptr<const uint64_t> mask_words;
    Order q_order, k_order;
    int64_t heads, q_blocks, k_blocks, mask_size, mask_row_words;
    int d;
    float scale;
    bool dense, masks, bias, has_out, has_lse, has_mass, has_mass_lse;
  };

  struct Place {  // of the block that runs
    int64_t b, h, q_block, list_begin, list_end;
    int q_first, q_last, q_set, k_set;
    hw::saddr sums, queries, keys;
  };
  struct State {  // of a warp's rows; out: channel lane + 32 i
    float most[kRows], sum[kRows], out[kRows][kMaxWidth / 32];
  };

  static ZT_DEVICE int64_t token(const Order& o, int set, int slot) {
    return set < 0 ? slot : hw::ldg(o.slots + (int64_t(set) * o.tokens + slot));
  }
  static ZT_DEVICE float minus_infinity() { return -hw::float_of(0x7f800000u); }

  static ZT_DEVICE void load_queries(const Params& p, const Place& at, int first) {
    hw::sync_block();
    for (int i = hw::thread(); i < kTile * p.d; i += kThreads) {
      const int slot = first + i / p.d;
      float x = 0;
      if (slot < at.q_last) x = load(p.q.v, at.b * p.q.b + at.h * p.q.h + token(p.q_order, at.q_set, slot) * p.q.n + i % p.d);
      hw::sts(at.queries + i * 4, x);
    }
  }
  static ZT_DEVICE void load_keys(const Params& p, const Place& at, int first, int last) {
    hw::sync_block();
    for (int i = hw::thread(); i < kKeys * p.d; i += kThreads) {
      const int slot = first + i / p.d;
      float x = 0;
      if (slot < last) x = load(p.k.v, at.b * p.k.b + at.h * p.k.h + token(p.k_order, at.k_set, slot) * p.k.n + i % p.d);
      hw::sts(at.keys + (i / p.d * (p.d + 1) + i % p.d) * 4, x);
    }
    hw::sync_block();
  }

  // Logit of this lane's key with row r of this warp; -inf where the plan keeps nothing.
  static ZT_DEVICE float logit(const Params& p, const Place& at, int row_slot, int r, int key, int key_begin, int key_end, int64_t k_block,
                               int mask) {
    if (row_slot >= at.q_last || key >= key_end) return minus_infinity();
    if (mask >= 0) {
      const int64_t bit = key - key_begin;
      const uint64_t word = hw::ldg(p.mask_words + (int64_t(mask) * p.mask_size + int64_t(row_slot - at.q_first) * p.mask_row_words + bit / 64));
      if ((word >> (bit % 64) & 1) == 0) return minus_infinity();
    }
    const hw::saddr query = at.queries + (hw::thread() / 32 * kRows + r) * p.d * 4, key_at = at.keys + hw::thread() % 32 * (p.d + 1) * 4;
    float dot = 0;
    for (int c = 0; c < p.d; ++c) dot = hw::fma(hw::lds<float>(query + c * 4), hw::lds<float>(key_at + c * 4), dot);
    return dot * p.scale + (p.bias ? hw::ldg(p.k_bias + k_block) : 0.f);
  }

  static ZT_DEVICE void attend(const Params& p, const Place& at, const float (&logits)[kRows], int key, int keys, State& s) {
    const int lane = hw::thread() % 32;
    float weight[kRows];
    ZT_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const float most = hw::max(s.most[r], max_lanes(logits[r]));
      const float base = most == minus_infinity() ? 0.f : most;
      const float keep = hw::exp2((s.most[r] - base) * kLog2e);
      weight[r] = hw::exp2((logits[r] - base) * kLog2e);
      s.sum[r] = s.sum[r] * keep + sum_lanes(weight[r], 32);
      s.most[r] = most;
      ZT_UNROLL
      for (int i = 0; i < kMaxWidth / 32; ++i) s.out[r][i] *= keep;
    }
    if (!p.has_out) return;
    const int64_t mine = lane < keys ? token(p.k_order, at.k_set, key) : 0;
    for (int j = 0; j < keys; ++j) {
      const int64_t row = at.b * p.v.b + at.h * p.v.h + int64_t(hw::shfl(int(mine), j)) * p.v.n;
      float w[kRows];
      ZT_UNROLL
      for (int r = 0; r < kRows; ++r) w[r] = hw::shfl(weight[r], j);
      ZT_UNROLL
      for (int i = 0; i < kMaxWidth / 32; ++i) {
        const int c = lane + i * 32;
        if (c < p.d) {
          const float v = load(p.v.v, row + c);
          ZT_UNROLL
          for (int r = 0; r < kRows; ++r) s.out[r][i] = w[r] == 0.f ? s.out[r][i] : hw::fma(w[r], v, s.out[r][i]);
        }
      }
    }
  }

  // One pass over the keys of the rows that begin at `first`. With `mass` the sums of probabilities relative to `reference`,
  // else the softmax.
  template <bool kMass>
  static ZT_DEVICE void pass(const Params& p, const Place& at, int first, State& s, const float (&reference)[kRows]) {
    const int lane = hw::thread() % 32, row0 = first + hw::thread() / 32 * kRows;
    for (int64_t e = at.list_begin; e < at.list_end; ++e) {
      const int64_t k_block = p.dense ? e : hw::ldg(p.cols + e);
      const int mask = p.masks ? hw::ldg(p.mask_of + e) : -1;
      const int begin = hw::ldg(p.k_starts + k_block), end = hw::ldg(p.k_starts + k_block + 1);
      float mass = 0;
      for (int key0 = begin; key0 < end; key0 += kKeys) {
        load_keys(p, at, key0, end);
        float logits[kRows];
        ZT_UNROLL
        for (int r = 0; r < kRows; ++r) logits[r] = logit(p, at, row0 + r, r, key0 + lane, begin, end, k_block, mask);
        if constexpr (kMass) {
          ZT_UNROLL
          for (int r = 0; r < kRows; ++r) {
            const bool finite = reference[r] - reference[r] == 0.f;
            mass += finite ? hw::exp2((logits[r] - reference[r]) * kLog2e) : 0.f;
          }
        } else {
          attend(p, at, logits, key0 + lane, end - key0 < kKeys ? end - key0 : kKeys, s);
        }
      }
      if constexpr (kMass) {
        mass = sum_block(mass, at.sums, kWarps);
        const int64_t to = ((at.b * p.heads + at.h) * p.q_blocks + at.q_block) * p.k_blocks + k_block;
        if (hw::thread() == 0) hw::stg(p.mass + to, hw::ldg(p.mass + to) + mass);
      }
    }
  }

  static ZT_DEVICE void run(const Params& p) {
    Place at;
    at.q_block = hw::block_x(), at.b = hw::block_y() / p.heads, at.h = hw::block_y() % p.heads;
    at.q_first = hw::ldg(p.q_starts + at.q_block), at.q_last = hw::ldg(p.q_starts + at.q_block + 1);
    at.q_set = p.q_order.there ? hw::ldg(p.q_order.set_of_head + at.h) : -1;
    at.k_set = p.k_order.there ? hw::ldg(p.k_order.set_of_head + at.h) : -1;
    at.list_begin = 0, at.list_end = p.k_blocks;
    if (!p.dense) {
      const int64_t row = int64_t(hw::ldg(p.set_of_head + at.h)) * p.q_blocks + at.q_block;
      at.list_begin = hw::ldg(p.row_offsets + row), at.list_end = hw::ldg(p.row_offsets + row + 1);
    }
    at.sums = hw::shared(), at.queries = at.sums + 16, at.keys = at.queries + kTile * p.d * 4;
    const int64_t row_base = (at.b * p.heads + at.h) * hw::ldg(p.q_starts + p.q_blocks);
    if (p.has_mass) {
      for (int64_t j = hw::thread(); j < p.k_blocks; j += kThreads) {
        hw::stg(p.mass + (((at.b * p.heads + at.h) * p.q_blocks + at.q_block) * p.k_blocks + j), 0.f);
      }
      hw::sync_block();
    }
    const int lane = hw::thread() % 32;
    for (int first = at.q_first; first < at.q_last; first += kTile) {
      load_queries(p, at, first);
      hw::sync_block();
      State s;
      float reference[kRows] = {};
      ZT_UNROLL
      for (int r = 0; r < kRows; ++r) {
        s.most[r] = minus_infinity(), s.sum[r] = 0;
        ZT_UNROLL
        for (int i = 0; i < kMaxWidth / 32; ++i) s.out[r][i] = 0;
      }
      pass<false>(p, at, first, s, reference);
      ZT_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const int slot = first + hw::thread() / 32 * kRows + r;
        reference[r] = minus_infinity();
        if (slot >= at.q_last) continue;
        const int64_t row = token(p.q_order, at.q_set, slot);
        const float lse = s.sum[r] == 0.f ? minus_infinity() : s.most[r] + hw::log2(s.sum[r]) / kLog2e;
        reference[r] = p.has_mass_lse ? hw::ldg(p.mass_lse + (row_base + row)) : lse;
        if (p.has_lse && lane == 0) hw::stg(p.lse + (row_base + row), lse);
        ZT_UNROLL
        for (int i = 0; i < kMaxWidth / 32; ++i) {
          const int c = lane + i * 32;
          if (p.has_out && c < p.d) {
            store(p.out.v, at.b * p.out.b + at.h * p.out.h + row * p.out.n + c, s.sum[r] == 0.f ? 0.f : hw::div(s.out[r][i], s.sum[r]));
          }
        }
      }
      if (p.has_mass) pass<true>(p, at, first, s, reference);
    }
  }
};

class PlainAttention final : public AttentionExecutor {
 public:
  std::string_view name() const override { return "cuda_plain"; }
  std::string why_not(const AttentionPlan& plan, const AttentionProblem& p, const ExecContext&) const override {
    if (plan.has_linear()) return "has no linear part";
    if (p.head_dim > PlainAttentionKernel::kMaxWidth) return "heads wider than 512";
    if (p.dtype != DType::f32 && p.dtype != DType::bf16) return "f32 and bf16 only";
    return {};
  }
  size_t workspace_bytes(const AttentionPlan&, const AttentionProblem&, const ExecContext&) const override { return 0; }

  void run(const AttentionPlan& plan, const AttentionProblem& p, const AttentionArgs& a, void*, const ExecContext& ctx) const override {
    check_attention(plan, p, a);
    ZT_CHECK(a.q.device == zt::Device::cuda && a.k.device == zt::Device::cuda && (!a.out || a.out.device == zt::Device::cuda));
    const PlanParts& parts = plan.parts();
    auto narrow = [](const std::vector<int64_t>& v) { return std::vector<int32_t>(v.begin(), v.end()); };
    const std::vector<int32_t> q_starts = narrow(plan.q_starts()), k_starts = narrow(plan.k_starts());
    std::vector<int32_t> sets, q_sets, k_sets;
    for (int64_t h = 0; h < p.heads; ++h) {
      sets.push_back(plan.is_dense() ? 0 : int32_t(plan.set_of(h)));
      q_sets.push_back(parts.q_order.set_of(h)), k_sets.push_back(parts.k_order.set_of(h));
    }
    auto up = [&](const auto& v) { return std::make_unique<Scratch>(v, ctx); };
    const auto q_starts_at = up(q_starts), k_starts_at = up(k_starts), sets_at = up(sets), q_sets_at = up(q_sets), k_sets_at = up(k_sets),
               cols_at = up(parts.cols), mask_of_at = up(parts.mask_of), offsets_at = up(parts.row_offsets), words_at = up(parts.mask_words),
               bias_at = up(parts.k_bias), q_slots_at = up(parts.q_order.order), k_slots_at = up(parts.k_order.order);
    for (const auto* s : {&q_starts_at, &k_starts_at, &sets_at, &q_sets_at, &k_sets_at, &cols_at, &mask_of_at, &offsets_at, &words_at, &bias_at,
                          &q_slots_at, &k_slots_at}) {
      if (!**s) return;
    }
    auto ints = [](const auto& s) { return hw::global<int32_t>(static_cast<const void*>(s->data())); };
    auto heads = [](const TensorView& t) {
      return PlainAttentionKernel::Heads{values(t), t ? t.stride(0) : 0, t ? t.stride(1) : 0, t ? t.stride(2) : 0};
    };
    PlainAttentionKernel::Params k{};
    k.q = heads(a.q), k.k = heads(a.k), k.v = heads(a.v), k.out = heads(a.out);
    k.lse = hw::global<float>(a.lse.data), k.mass = hw::global<float>(a.block_mass.data);
    k.mass_lse = hw::global<float>(static_cast<const void*>(a.mass_lse.data));
    k.k_bias = hw::global<float>(static_cast<const void*>(bias_at->data()));
    k.q_starts = ints(q_starts_at), k.k_starts = ints(k_starts_at), k.cols = ints(cols_at), k.mask_of = ints(mask_of_at), k.set_of_head = ints(sets_at);
    k.row_offsets = hw::global<int64_t>(static_cast<const void*>(offsets_at->data()));
    k.mask_words = hw::global<uint64_t>(static_cast<const void*>(words_at->data()));
    k.q_order = {ints(q_slots_at), ints(q_sets_at), plan.nq(), parts.q_order.sets > 0};
    k.k_order = {ints(k_slots_at), ints(k_sets_at), plan.nk(), parts.k_order.sets > 0};
    k.heads = p.heads, k.q_blocks = parts.q.count(), k.k_blocks = parts.k.count(), k.mask_size = parts.mask_size();
    k.mask_row_words = parts.mask_row_words(), k.d = int(p.head_dim);
    k.scale = p.scale != 0 ? p.scale : float(1 / std::sqrt(double(p.head_dim)));
    k.dense = plan.is_dense(), k.masks = plan.has_masks(), k.bias = !parts.k_bias.empty();
    k.has_out = bool(a.out), k.has_lse = bool(a.lse), k.has_mass = bool(a.block_mass), k.has_mass_lse = bool(a.mass_lse);
    start<PlainAttentionKernel>(ctx, k.q_blocks, p.batch * p.heads, PlainAttentionKernel::shared(k.d), k);
  }
};

}  // namespace
}  // namespace zt::cuda
