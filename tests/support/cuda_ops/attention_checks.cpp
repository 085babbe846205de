#include <limits>

#include "kernels/api/attention.h"
#include "tests/support/cuda_ops/checks.h"
#include "tests/support/cuda_ops/plans.h"

namespace zt::testing {
namespace {

struct Call {
  Twin q, k, v, out, lse, mass, weight, bias;  // of a projection
  AttentionProblem problem;
  PlanPtr plan;
  bool values = true;
};

// Every executor of the device's table that takes the call, not only the first.
void check_call(Checker& c, const Call& call, const std::string& what) {
  const bool f32 = call.problem.dtype == DType::f32;
  for (const auto& executor : c.device().ops->attention) {
    if (!executor->why_not(*call.plan, call.problem, c.device()).empty()) continue;
    std::vector<Twin> wrote{call.lse};
    if (call.values) wrote.push_back(call.out);
    if (call.problem.block_mass) wrote.push_back(call.mass);
    // bf16: probabilities and results are rounded to 2^-9.
    if (executor->name() == "cudnn" && (call.problem.head_dim % 64 || !call.values)) continue;
    c.compare("attention", fmt::format("{}, {}, {}", executor->name(), what, f32 ? "f32" : "bf16"), f32 ? 1e-10 : 3e-5, wrote,
              [&](const Checker::Side& s, const ExecContext& ctx) {
                AttentionArgs a;
                a.q = s(call.q), a.k = s(call.k), a.lse = s(call.lse);
                if (call.values) a.v = s(call.v), a.out = s(call.out);
                if (call.problem.block_mass) a.block_mass = s(call.mass);
                if (call.plan->has_linear()) a.proj_weight = s(call.weight), a.proj_bias = s(call.bias);
                const AttentionExecutor& e = ctx.arena->memory() ? *executor : *ctx.ops->attention.back();
                Tensor workspace = need(ctx.arena->make(DType::u8, {int64_t(e.workspace_bytes(*call.plan, call.problem, ctx)) + 1}));
                e.run(*call.plan, call.problem, a, workspace.data(), ctx);
                need(wait_for_device(ctx));
              });
  }
}

Call make_call(Checker& c, Dice& r, int64_t batch, int64_t heads, int64_t nq, int64_t nk, int64_t d, DType t, const PlanTraits& traits, bool mass) {
  Call call;
  const int64_t width = heads * d;
  // Tokens of q, and of k and v, with all heads side by side.
  auto view = [&](const Twin& m, int64_t n, int64_t column) {
    return m.map([&](const TensorView& v) {
      TensorView h = v.overlay(t, {batch, heads, n, d}, size_t(column) * dtype_size(t));
      h.strides = {n * v.stride(0), d, v.stride(0), 1, 0};
      return h;
    });
  };
  Twin q = c.random(t, {batch * nq, width}, r.bits()), kv = c.random(t, {batch * nk, 2 * width}, r.bits()), out = c.random(t, {batch * nq, width + 8}, r.bits());
  call.q = view(q, nq, 0), call.k = view(kv, nk, 0), call.v = view(kv, nk, width), call.out = view(out, nq, 0);
  call.lse = c.filled(DType::f32, {batch, heads, nq}, 0xff);
  if (traits.linear) call.weight = c.random(DType::f32, {d, d}, r.bits(), 0.1f), call.bias = c.random(DType::f32, {d}, r.bits());
  call.plan = random_plan(r, nq, nk, heads, traits);
  call.problem = {batch, heads, d, t, 0, mass};
  if (mass) call.mass = c.filled(DType::f32, {batch, heads, call.plan->parts().q.count(), call.plan->parts().k.count()}, 0xff);
  return call;
}

}  // namespace

void check_attention(Checker& c) {
  Dice r(9);
  const int rounds = c.large() ? 60 : 40;
  for (int round = 0; round < rounds; ++round) {
    const DType t = round % 2 ? DType::bf16 : DType::f32;
    const int64_t widths[] = {64, 12, 128, 33};
    const int64_t d = round % 4 < 2 ? widths[round % 3 == 0 ? 0 : 1] : widths[round % 3 == 0 ? 2 : 3], top = c.large() ? 700 : 90;
    PlanTraits traits{round % 5 == 0, round % 3 == 1, round % 7 == 3, round % 4 == 2, round % 2 == 1, round % 6 == 3 && round % 9 != 3, 0, 0};
    if (round % 2) traits.block_q = 64, traits.block_k = 64;
    Call call = make_call(c, r, 1 + round % 2, 1 + r.below(3), 1 + r.below(top), 1 + r.below(top), d, t, traits, round % 3 == 0);
    call.values = round % 6 != 0 || !call.problem.block_mass;
    check_call(c, call, fmt::format("round {}, {} x {}, d {}", round, call.plan->nq(), call.plan->nk(), d));
  }
  if (!c.large()) return;
  // The VAE's one wide head, and the transformer's own shapes.
  for (auto [heads, n, d] : {std::array<int64_t, 3>{1, 1560, 384}, {2, 4680, 128}, {5, 1152, 64}}) {
    Call call = make_call(c, r, 1, heads, n, n, d, DType::bf16, {true, false, false, false, false, false, 64, 64}, false);
    check_call(c, call, fmt::format("dense, {} heads, {} tokens, d {}", heads, n, d));
  }
}

}  // namespace zt::testing
