#include <algorithm>
#include <limits>
#include <numeric>

#include "kernels/api/select.h"
#include "tests/support/cuda_ops/checks.h"
#include "tests/support/cuda_ops/plans.h"

namespace zt::testing {
namespace {

// [H, N, D] as columns of a matrix of tokens, as the model has them.
Twin heads_of(Checker& c, DType t, int64_t heads, int64_t n, int64_t d, uint64_t seed) {
  return c.random(t, {n, 3 * heads * d}, seed).map([&](const TensorView& v) {
    TensorView h = v.overlay(t, {heads, n, d}, size_t(heads * d) * dtype_size(t));
    h.strides = {d, 3 * heads * d, 1};
    return h;
  });
}

}  // namespace

void check_pool_blocks(Checker& c) {
  Dice r(1);
  for (int round = 0; round < 24; ++round) {
    const int64_t heads = 1 + r.below(c.large() ? 12 : 3), n = 1 + r.below(c.large() ? 2000 : 150), d = 1 + r.below(c.large() ? 140 : 40);
    const DType t = round % 2 ? DType::bf16 : DType::f32;
    Twin x = heads_of(c, t, heads, n, d, uint64_t(round) + 5);
    Blocks blocks = random_blocks(r, n);
    TokenOrder order = random_order(r, n, heads);
    Twin out = c.filled(DType::f32, {heads, blocks.count(), d}, 0xff);
    // Relative to values of size 1: a sum of a hundred and, centred, of all tokens.
    c.compare("pool_blocks", fmt::format("{} tokens, {} blocks, {}", n, blocks.count(), dtype_name(t)), 1e-11, {out},
              [&](const Checker::Side& s, const ExecContext& ctx) {
                pool_blocks({s(x), &blocks, round % 4 == 0 ? nullptr : &order, round % 8 > 3, s(out)}, ctx);
              });
  }
}

void check_block_scores(Checker& c) {
  Dice r(2);
  for (int round = 0; round < 24; ++round) {
    const int64_t heads = 1 + r.below(3), nq = 1 + r.below(c.large() ? 300 : 12), nk = 1 + r.below(c.large() ? 600 : 200), d = 1 + r.below(130);
    Twin q = c.random(DType::f32, {heads, nq, d}, 1), k = c.random(DType::f32, {heads, nk, d}, 2), out = c.filled(DType::f32, {heads, nq, nk}, 0xff);
    std::vector<int32_t> share(static_cast<size_t>(round % 2 ? nk : 0));
    for (int32_t& n : share) n = int32_t(1 + r.below(64));
    c.compare("block_scores", fmt::format("{} x {} blocks of {}, shares {}", nq, nk, d, !share.empty()), 1e-10, {out},
              [&](const Checker::Side& s, const ExecContext& ctx) { block_scores({s(q), s(k), 0.3f, share, s(out)}, ctx); });
  }
}

void check_select_blocks(Checker& c) {
  Dice r(3);
  for (int round = 0; round < 60; ++round) {
    const int64_t heads = 1 + r.below(3), nq = 1 + r.below(c.large() ? 200 : 5), nk = 1 + r.below(c.large() ? 700 : 200);
    // Every third has many ties and some that are no numbers; those of a mass are positive.
    Tensor scores = need(c.host().arena->make(DType::f32, {heads, nq, nk}));
    const SelectRule rule = SelectRule(round % 3);
    for (int64_t i = 0; i < scores.view().count(); ++i) {
      float v = round % 2 ? float(r.below(5)) : r.normal();
      if (rule == SelectRule::mass) v = std::abs(v);
      if (round % 7 == 0 && r.below(9) == 0) v = std::numeric_limits<float>::quiet_NaN();
      scores.as<float>()[i] = v;
    }
    Twin s0 = c.random(DType::f32, {heads, nq, nk}, 1), map = c.filled(DType::u8, {heads, nq, nk}, 7);
    need(copy_values(scores, s0.view[0], c.host()));
    need(copy_values(scores, s0.view[1], c.device()));
    std::vector<int32_t> count(static_cast<size_t>(round % 4 ? 1 : heads));
    for (int32_t& n : count) n = int32_t(r.below(nk + 3)) - 1;
    const double mass = round % 5 == 0 ? 1 : r.uniform();
    c.compare("select_blocks", fmt::format("{} x {}, rule {}, round {}", nq, nk, round % 3, round), 0, {map},
              [&](const Checker::Side& s, const ExecContext& ctx) { select_blocks({s(s0), rule, count, mass, 1, s(map)}, ctx); });
  }
}

void check_sums_of_heads(Checker& c) {
  Dice r(4);
  for (int round = 0; round < 10; ++round) {
    const int64_t heads = 1 + r.below(3), nq = 1 + r.below(c.large() ? 500 : 9), nk = 1 + r.below(c.large() ? 500 : 90), d = 1 + r.below(70);
    Twin mass = c.random(DType::f32, {heads, nq, nk}, 1), map = c.filled(DType::u8, {heads, nq, nk}, uint8_t(round % 3));
    std::vector<double> first[2], second[2];
    auto differ = [&](const char* op) {
      double worst = 0;
      for (size_t h = 0; h < size_t(heads); ++h) {
        for (auto* v : {first, second}) worst = std::max(worst, std::abs(v[0][h] - v[1][h]) / std::max(1.0, std::abs(v[0][h])));
      }
      c.add({op, fmt::format("{} heads, {} x {} (relative error)", heads, nq, nk), worst, 1e-11});
    };
    for (int side = 0; side < 2; ++side) {
      first[side].assign(size_t(heads), -1), second[side].assign(size_t(heads), -1);
      kept_mass({mass.view[side], map.view[side], first[side], second[side]}, side ? c.device() : c.host());
    }
    differ("kept_mass");
    const DType t = round % 2 ? DType::bf16 : DType::f32;
    Twin a = heads_of(c, t, heads, nk, d, 2), b = heads_of(c, DType::f32, heads, nk, d, 3);
    for (int side = 0; side < 2; ++side) head_errors({a.view[side], b.view[side], first[side], second[side]}, side ? c.device() : c.host());
    differ("head_errors");
  }
}

void check_merge_partials(Checker& c) {
  const float none = -std::numeric_limits<float>::infinity();
  for (int round = 0; round < 4; ++round) {
    const DType t = round % 2 ? DType::bf16 : DType::f32;
    const Shape shape{2, 3, c.large() ? 700 : 9, 20}, rows{shape[0], shape[1], shape[2]};
    Twin x = c.random(t, shape, 1), y = c.random(t, shape, 2), out = c.random(t, shape, 3), l0 = c.random(DType::f32, rows, 4),
         l1 = c.random(DType::f32, rows, 5), lse = c.random(DType::f32, rows, 6);
    for (int64_t i = 0; i < 6; ++i) l0.view[0].as<float>()[i] = none;
    for (int64_t i = 4; i < 9; ++i) l1.view[0].as<float>()[i] = none;
    need(copy_values(l0.view[0], l0.view[1], c.device()));
    need(copy_values(l1.view[0], l1.view[1], c.device()));
    std::vector<Twin> wrote{out};
    if (round / 2) wrote.push_back(lse);
    c.compare("merge_partials", fmt::format("{}, lse {}", dtype_name(t), round / 2), t == DType::f32 ? 1e-12 : 4e-6, wrote,
              [&](const Checker::Side& s, const ExecContext& ctx) {
                merge_partials({s(x), s(y), s(out), s(l0), s(l1), round / 2 ? s(lse) : TensorView()}, ctx);
              });
  }
}

const std::vector<OpCheck>& op_checks() {
  static const std::vector<OpCheck> all = {
      {"norm", check_norm},
      {"qk_norm_rope", check_qk_norm_rope},
      {"channel_norm", check_channel_norm},
      {"elementwise", check_elementwise},
      {"affine_sum", check_affine_sum},
      {"patches", check_patches},
      {"gather_rows", check_gather_rows},
      {"bias_attention", check_bias_attention},
      {"linear", check_linear},
      {"conv", check_conv},
      {"pool_blocks", check_pool_blocks},
      {"block_scores", check_block_scores},
      {"select_blocks", check_select_blocks},
      {"sums_of_heads", check_sums_of_heads},
      {"merge_partials", check_merge_partials},
      {"attention", check_attention},
  };
  return all;
}

}  // namespace zt::testing
