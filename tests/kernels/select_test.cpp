// The selection ops against their plain twins: shapes, types, strides, token orders, ties, NaN, threads.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/api/attention.h"
#include "kernels/api/select.h"
#include "tests/kernels/attention_support.h"

namespace zt::testing {
namespace {

std::unique_ptr<Machine> cpu_machine(int threads) { return make_machine(machine_isa(), threads, {"*=cpu"}); }

const float kNan = std::numeric_limits<float>::quiet_NaN();

// [H, N, D]: dense, or columns of a matrix of tokens as the model has them ([N, 3 * H * D]).
struct Heads {
  Tensor store;
  TensorView view;
  Heads(Arena& arena, DType t, int64_t heads, int64_t n, int64_t d, bool interleaved, uint64_t seed)
      : store(random_tensor(arena, t, interleaved ? Shape{n, 3 * heads * d} : Shape{heads, n, d}, seed)), view(store) {
    if (!interleaved) return;
    view = TensorView(static_cast<char*>(store.data()) + size_t(heads * d) * dtype_size(t), t, {heads, n, d});
    view.strides = {d, 3 * heads * d, 1};
  }
};

Blocks random_blocks(Random& r, int64_t n) {
  Blocks b{int(1 + r.below(100)), {}};
  for (int64_t left = n; left > 0; left -= b.valid.back())
    b.valid.push_back(int32_t(std::min<int64_t>(left, r.below(3) == 0 ? 1 + r.below(b.block) : b.block)));
  return b;
}

TokenOrder random_order(Random& r, int64_t n, int64_t heads, bool per_head) {
  TokenOrder o;
  o.sets = per_head ? 2 : 1;
  for (int s = 0; s < o.sets; ++s) {
    std::vector<int32_t> order(static_cast<size_t>(n));
    std::iota(order.begin(), order.end(), 0);
    for (int64_t i = n - 1; i > 0; --i) std::swap(order[size_t(i)], order[size_t(r.below(i + 1))]);
    o.order.insert(o.order.end(), order.begin(), order.end());
  }
  for (int64_t h = 0; per_head && h < heads; ++h) o.head_set.push_back(int32_t(r.below(3)) - 1);
  return o;
}

TEST(Select, PoolBlocks) {
  Random r(1);
  for (int round = 0; round < 60; ++round) {
    int64_t heads = 1 + r.below(5), n = 1 + r.below(300), d = 1 + r.below(140);
    DType t = round % 2 ? DType::bf16 : DType::f32;
    auto ref = make_machine(machine_isa(), 1, {"*=ref"});
    Heads x(ref->arena, t, heads, n, d, round % 3 == 0, uint64_t(round) + 5);
    Blocks blocks = random_blocks(r, n);
    TokenOrder order = random_order(r, n, heads, round % 5 == 0);
    PoolBlocksArgs a{x.view, &blocks, round % 4 == 0 ? nullptr : &order, round % 2 == 0, {}};
    Tensor want = must(ref->arena.make(DType::f32, {heads, blocks.count(), d}));
    a.out = want;
    pool_blocks(a, ref->ctx);
    std::vector<std::vector<float>> got;
    for (int threads : {1, 3}) {
      auto m = cpu_machine(threads);
      Tensor out = must(m->arena.make(DType::f32, want.shape()));
      a.out = out;
      pool_blocks(a, m->ctx);
      got.push_back(to_floats(out));
    }
    EXPECT_EQ(got[0], got[1]) << "bits for any thread count";
    // A sum of at most 100 values below 5 takes fewer than 100 roundings of 2^-24 of 500; the mean of all tokens is a mean of
    // such.
    EXPECT_LE(max_abs_diff(got[0], to_floats(want)), 2 * 5 * 100 * 0x1p-24) << round;
  }
}

TEST(Select, BlockScores) {
  Random r(2);
  for (int round = 0; round < 60; ++round) {
    int64_t heads = 1 + r.below(4), nq = 1 + r.below(90), nk = 1 + r.below(90), d = round % 10 == 0 ? 300 : 1 + r.below(140);
    auto ref = make_machine(machine_isa(), 1, {"*=ref"});
    Tensor q = random_tensor(ref->arena, DType::f32, {heads, nq, d}, uint64_t(round)),
           k = random_tensor(ref->arena, DType::f32, {heads, nk, d}, 99),
           want = must(ref->arena.make(DType::f32, {heads, nq, nk}));
    std::vector<int32_t> counts;
    for (int64_t j = 0; j < nk; ++j) counts.push_back(int32_t(1 + r.below(64)));
    bool share = round % 2 == 1;
    float scale = round % 3 == 0 ? 1.f : float(1 / std::sqrt(double(d)));
    BlockScoresArgs a{q, k, scale, {}, want};
    if (share) a.share = counts;
    block_scores(a, ref->ctx);
    std::vector<std::vector<float>> got;
    for (int threads : {1, 3}) {
      auto m = cpu_machine(threads);
      Tensor out = must(m->arena.make(DType::f32, want.shape()));
      a.out = out;
      block_scores(a, m->ctx);
      got.push_back(to_floats(out));
    }
    EXPECT_EQ(got[0], got[1]);
    // |sum| <= d roundings of sum |q k|, which stays below d for unit normals (mean 0.64 d, 300 draws or fewer: 1.5 d + 20). A
    // share is a probability whose logits are off by that much, times e^0 at most.
    double bound = double(d) * 0x1p-24 * (1.5 * double(d) + 20) * double(scale);
    EXPECT_LE(max_abs_diff(got[0], to_floats(want)), share ? 4 * bound + 1e-6 : bound) << round;
  }
}

std::vector<uint8_t> selected(const Machine& m, const TensorView& scores, SelectRule rule, std::vector<int32_t> count,
                              double mass, uint8_t mark) {
  Tensor map = must(m.ctx.arena->zeros(DType::u8, scores.shape));
  select_blocks({scores, rule, count, mass, mark, map}, m.ctx);
  return {map.as<uint8_t>(), map.as<uint8_t>() + map.view().count()};
}

TEST(Select, SelectBlocksIsTheTwinExactly) {
  Random r(3);
  for (int round = 0; round < 200; ++round) {
    int64_t heads = 1 + r.below(3), nq = 1 + r.below(20), nk = 1 + r.below(120);
    auto ref = make_machine(machine_isa(), 1, {"*=ref"});
    Tensor s = must(ref->arena.make(DType::f32, {heads, nq, nk}));
    for (int64_t i = 0; i < s.view().count(); ++i) {
      float x = round % 3 == 0 ? float(r.below(4)) - 1 : r.normal();  // many ties, or none
      if (round % 4 == 0 && r.below(6) == 0) x = r.below(3) == 0 ? kNan : r.below(2) == 0 ? -INFINITY : -0.f;
      s.as<float>()[i] = round % 5 == 0 ? std::abs(x) : x;
    }
    for (SelectRule rule : {SelectRule::highest, SelectRule::lowest, SelectRule::mass}) {
      std::vector<int32_t> count;
      for (int64_t h = 0; h < (round % 2 ? 1 : heads); ++h) count.push_back(int32_t(r.below(nk + 4)) - 1);
      double mass = round % 7 == 0 ? 1.0 : r.uniform();
      auto want = selected(*ref, s, rule, count, mass, 2);
      for (int threads : {1, 3}) EXPECT_EQ(selected(*cpu_machine(threads), s, rule, count, mass, 2), want) << round;
    }
  }
}

TEST(Select, TiesGoToTheLowerBlock) {
  for (const char* name : {"cpu", "ref"}) {
    auto m = make_machine(machine_isa(), 2, {std::string("*=") + name});
    Tensor s = must(m->arena.zeros(DType::f32, {1, 1, 6}));
    EXPECT_EQ(selected(*m, s, SelectRule::highest, {2}, 1, 1), (std::vector<uint8_t>{1, 1, 0, 0, 0, 0})) << name;
    EXPECT_EQ(selected(*m, s, SelectRule::lowest, {2}, 1, 1), (std::vector<uint8_t>{0, 0, 0, 0, 1, 1})) << name;
    for (int i = 0; i < 6; ++i) s.as<float>()[i] = 0.25f;
    s.as<float>()[0] = kNan;
    EXPECT_EQ(selected(*m, s, SelectRule::mass, {1}, 0.5, 1), (std::vector<uint8_t>{0, 1, 1, 1, 0, 0})) << name;
    EXPECT_EQ(selected(*m, s, SelectRule::highest, {6}, 1, 1), (std::vector<uint8_t>(6, 1))) << name;
  }
}

TEST(Select, KeptMassAndHeadErrors) {
  Random r(4);
  for (int round = 0; round < 30; ++round) {
    int64_t heads = 1 + r.below(4), n = 1 + r.below(60), d = 1 + r.below(70);
    auto ref = make_machine(machine_isa(), 1, {"*=ref"}), cpu = cpu_machine(3);
    Tensor mass = random_tensor(ref->arena, DType::f32, {heads, n, d}, uint64_t(round));
    Tensor map = must(ref->arena.make(DType::u8, {heads, n, d}));
    for (int64_t i = 0; i < map.view().count(); ++i) map.as<uint8_t>()[i] = uint8_t(r.below(3));
    Heads a(ref->arena, round % 2 ? DType::bf16 : DType::f32, heads, n, d, round % 3 == 0, 7),
        b(ref->arena, round % 5 ? DType::bf16 : DType::f32, heads, n, d, round % 4 == 0, 8);
    std::vector<std::vector<double>> results[2];
    for (const Machine* m : {ref.get(), cpu.get()}) {
      std::vector<double> kept(static_cast<size_t>(heads)), total = kept, error = kept, norm = kept;
      kept_mass({mass, map, kept, total}, m->ctx);
      head_errors({a.view, b.view, error, norm}, m->ctx);
      results[m == cpu.get()] = {kept, total, error, norm};
    }
    EXPECT_EQ(results[0], results[1]) << "the same sums in the same order";
  }
}

TEST(Select, MergePartials) {
  Random r(5);
  for (int round = 0; round < 40; ++round) {
    int64_t batch = 1 + r.below(2), heads = 1 + r.below(3), n = 1 + r.below(40), d = 1 + r.below(70);
    DType t = round % 2 ? DType::bf16 : DType::f32;
    auto ref = make_machine(machine_isa(), 1, {"*=ref"}), cpu = cpu_machine(3);
    Shape shape{batch, heads, n, d}, rows{batch, heads, n};
    Tensor o0 = random_tensor(ref->arena, t, shape, 1), o1 = random_tensor(ref->arena, t, shape, 2);
    Tensor l0 = random_tensor(ref->arena, DType::f32, rows, 3, 8.f), l1 = random_tensor(ref->arena, DType::f32, rows, 4, 8.f);
    for (int64_t i = 0; i < batch * heads * n; ++i) {
      int64_t kind = r.below(6);  // a part without keys weighs nothing, even when its values are NaN
      for (auto [lse, out, bit] : {std::tuple{&l0, &o0, 1}, std::tuple{&l1, &o1, 2}}) {
        if (!(kind & bit) || kind > 3) continue;
        lse->as<float>()[i] = -INFINITY;
        for (int64_t c = 0; c < d; ++c) store_float(out->data(), t, i * d + c, kNan);
      }
    }
    std::vector<float> outs[2], lses[2];
    for (const Machine* m : {ref.get(), cpu.get()}) {
      Tensor out = must(m->ctx.arena->make(t, shape)), lse = must(m->ctx.arena->make(DType::f32, rows));
      merge_partials({o0, o1, out, l0, l1, lse}, m->ctx);
      outs[m == cpu.get()] = to_floats(out), lses[m == cpu.get()] = to_floats(lse);
      for (float x : outs[m == cpu.get()]) EXPECT_FALSE(std::isnan(x));
    }
    // f32: the weight, the difference, the product and the sum round once each, of values below 10; bf16: one step of storage.
    EXPECT_LE(max_abs_diff(outs[1], outs[0]), t == DType::f32 ? 4 * 10 * 0x1p-24 : 8 * 0x1p-8) << round;
    for (size_t i = 0; i < lses[0].size(); ++i) {
      if (std::isinf(lses[0][i]))
        EXPECT_EQ(lses[1][i], lses[0][i]);
      else
        EXPECT_NEAR(lses[1][i], lses[0][i], 64 * 0x1p-23);
    }
  }
}

// The keys of any plan cut in two by `slice`, run apart and merged, are the plan.
TEST(Select, SlicesMergeToTheWhole) {
  Random r(6);
  for (uint64_t round = 0; round < 20; ++round) {
    AttentionShape s{1 + r.below(2), 1 + r.below(3), 20 + r.below(80), 40 + r.below(120), 24};
    AttentionInputs in(s, DType::f32, false, round);
    PlanPtr plan = random_plan(s, int(r.below(2) ? s.heads : 1), 32, 16, 0.2 + 0.6 * r.uniform(), r.below(2) == 0, round + 50);
    auto m = make_machine(machine_isa(), 3, {"attention=ref", "merge_partials=cpu"});
    Shape shape{s.batch, s.heads, s.nq, s.d}, rows{s.batch, s.heads, s.nq};
    auto run = [&](const AttentionPlan& p, int64_t first, int64_t keys, Tensor& out, Tensor& lse) {
      out = must(m->arena.make(DType::f32, shape)), lse = must(m->arena.make(DType::f32, rows));
      AttentionArgs a = in.args;
      a.k = in.args.k.slice(2, first, keys), a.v = in.args.v.slice(2, first, keys), a.out = out, a.lse = lse;
      AttentionProblem problem{s.batch, s.heads, s.d, DType::f32, 0};
      Tensor workspace = must(
          m->arena.make(DType::u8, {int64_t(choose_attention(p, problem, m->ctx).workspace_bytes(p, problem, m->ctx)) + 64}));
      attention_forward(p, problem, a, workspace.data(), m->ctx);
    };
    int64_t cut = r.below(plan->parts().k.count() + 1), at = plan->k_starts()[size_t(cut)];
    Tensor whole, out0, out1, lse, lse0, lse1;
    run(*plan, 0, s.nk, whole, lse);
    run(*must(plan->slice({}, {}, {0, cut})), 0, at, out0, lse0);
    run(*must(plan->slice({}, {}, {cut, kForever})), at, s.nk - at, out1, lse1);
    Tensor out = must(m->arena.make(DType::f32, shape)), merged = must(m->arena.make(DType::f32, rows));
    merge_partials({out0, out1, out, lse0, lse1, merged}, m->ctx);
    // Outputs stay below 5 and round a few times; log-sum-exps stay below 32, are off by half a unit each, and move the
    // weight of a difference below 10 by a quarter of what they are off.
    EXPECT_LE(max_abs_diff(to_floats(out), to_floats(whole)), 4 * 5 * 0x1p-24 + 10 * 0.25 * 2 * 32 * 0x1p-24) << round;
    for (int64_t i = 0; i < lse.view().count(); ++i) {
      float want = lse.as<float>()[i], got = merged.as<float>()[i];
      if (std::isinf(want))
        EXPECT_EQ(got, want);
      else
        EXPECT_NEAR(got, want, 3 * 32 * 0x1p-24);
    }
  }
}

}  // namespace
}  // namespace zt::testing
