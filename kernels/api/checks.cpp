#include "kernels/api/checks.h"

namespace zt {
namespace {

bool is_float(const TensorView& v) { return v.dtype == DType::f32 || v.dtype == DType::bf16; }

// [rows, cols] of f32 or bf16 with the last axis contiguous.
bool is_rows(const TensorView& v, int64_t rows, int64_t cols) {
  return v.rank() == 2 && is_float(v) && v.dim(0) == rows && v.dim(1) == cols && (v.stride(1) == 1 || cols <= 1);
}

bool is_vector(const TensorView& v, int64_t count) { return v.dtype == DType::f32 && v.count() == count && v.dense(); }

}  // namespace

void check_args(const NormArgs& a) {
  ZT_CHECK(a.x.rank() == 2 && a.x.dtype == DType::f32);
  int64_t rows = a.x.dim(0), cols = a.x.dim(1),
          groups = a.rows_per_group > 0 ? (rows + a.rows_per_group - 1) / a.rows_per_group : 1;
  ZT_CHECK(is_rows(a.x, rows, cols));
  if (a.y) ZT_CHECK(is_rows(a.y, rows, cols));
  if (a.out) ZT_CHECK(is_rows(a.out, rows, cols));
  for (const TensorView* m : {&a.gate, &a.scale, &a.shift}) {
    if (*m) ZT_CHECK(m->rank() == 2 && m->dtype == DType::f32 && m->dim(0) >= groups && m->dim(1) == cols && m->stride(1) == 1);
  }
}

void check_args(const QkNormRopeArgs& a) {
  ZT_CHECK(a.x.rank() == 2 && a.heads > 0 && a.x.dim(1) % a.heads == 0);
  int64_t rows = a.x.dim(0), cols = a.x.dim(1), pairs = cols / a.heads / 2;
  ZT_CHECK(is_rows(a.x, rows, cols) && is_rows(a.out, rows, cols) && a.out.dtype == a.x.dtype && is_vector(a.weight, cols));
  ZT_CHECK(bool(a.cos) == bool(a.sin));
  if (a.cos) {
    ZT_CHECK(cols / a.heads % 2 == 0);
    ZT_CHECK(is_rows(a.cos, rows, pairs) && is_rows(a.sin, rows, pairs) && a.cos.dtype == DType::f32 &&
             a.sin.dtype == DType::f32);
  }
}

void check_args(const ChannelNormArgs& a) {
  ZT_CHECK(a.x.rank() == 2 && is_rows(a.x, a.x.dim(0), a.x.dim(1)) && a.x.dense());
  ZT_CHECK(is_rows(a.out, a.x.dim(0), a.x.dim(1)) && a.out.dense() && is_vector(a.gamma, a.x.dim(1)));
}

void check_args(const BiasAttentionArgs& a) {
  ZT_CHECK(a.q.rank() == 3 && a.bias.rank() == 3 && a.bias.dtype == DType::f32 && a.bias.dense());
  for (const TensorView* v : {&a.q, &a.k, &a.v, &a.out}) {
    ZT_CHECK(v->rank() == 3 && v->dtype == a.q.dtype && is_float(*v) && v->shape == a.q.shape && v->stride(2) == 1);
  }
  ZT_CHECK(a.bias.shape == (Shape{a.q.dim(0), a.q.dim(1), a.q.dim(1)}));
}

void check_args(const ElementwiseArgs& a) {
  ZT_CHECK(a.a.rank() == 2);
  int64_t rows = a.a.dim(0), cols = a.a.dim(1);
  ZT_CHECK(is_rows(a.a, rows, cols) && is_rows(a.out, rows, cols));
  if (a.op == Elementwise::add || a.op == Elementwise::mul) ZT_CHECK(is_rows(a.b, rows, cols));
}

void check_args(const AffineSumArgs& a) {
  ZT_CHECK(a.coef.size() == a.in.size() && !a.in.empty() && a.in.size() <= 6 && is_vector(a.out, a.out.count()));
  for (const TensorView& v : a.in) ZT_CHECK(is_vector(v, a.out.count()));
}

void check_args(const PatchifyArgs& a) {
  ZT_CHECK(a.latent.rank() == 4 && a.latent.dtype == DType::f32 && a.ph > 0 && a.pw > 0);
  ZT_CHECK(a.latent.dim(2) % a.ph == 0 && a.latent.dim(3) % a.pw == 0);
  ZT_CHECK(
      is_rows(a.tokens, a.latent.count() / std::max<int64_t>(1, a.latent.dim(0) * a.ph * a.pw), a.latent.dim(0) * a.ph * a.pw));
}

void check_args(const UnpatchifyArgs& a) { check_args(PatchifyArgs{a.latent, a.tokens, a.ph, a.pw}); }

void check_args(const GatherRowsArgs& a) {
  ZT_CHECK(a.table.rank() == 2 && (a.table.stride(1) == 1 || a.table.dim(1) <= 1));
  ZT_CHECK(is_rows(a.out, int64_t(a.index.size()), a.table.dim(1)));
  for (int32_t i : a.index) ZT_CHECK(i >= 0 && i < a.table.dim(0));
}

namespace {

bool is_floats(const TensorView& v, const Shape& shape) { return v.dtype == DType::f32 && v.shape == shape && v.dense(); }

// [.., N, D] of f32 or bf16 with the last axis contiguous.
bool is_heads(const TensorView& v, const Shape& shape) {
  return is_float(v) && v.shape == shape && (v.stride(-1) == 1 || v.dim(-1) <= 1);
}

}  // namespace

void check_args(const PoolBlocksArgs& a) {
  ZT_CHECK(a.blocks && a.x.rank() == 3 && is_heads(a.x, a.x.shape) && a.blocks->tokens() == a.x.dim(1));
  ZT_CHECK(is_floats(a.out, {a.x.dim(0), a.blocks->count(), a.x.dim(2)}));
  if (a.order && a.order->sets > 0) ZT_CHECK(int64_t(a.order->order.size()) == a.order->sets * a.x.dim(1));
}

void check_args(const BlockScoresArgs& a) {
  ZT_CHECK(a.q.rank() == 3 && a.k.rank() == 3 && is_floats(a.q, a.q.shape) && is_floats(a.k, {a.q.dim(0), a.k.dim(1), a.q.dim(2)}));
  ZT_CHECK(is_floats(a.out, {a.q.dim(0), a.q.dim(1), a.k.dim(1)}));
  ZT_CHECK(a.share.empty() || int64_t(a.share.size()) == a.k.dim(1));
}

void check_args(const SelectBlocksArgs& a) {
  ZT_CHECK(a.scores.rank() == 3 && is_floats(a.scores, a.scores.shape));
  ZT_CHECK(a.map.dtype == DType::u8 && a.map.dense() && a.map.shape == a.scores.shape);
  ZT_CHECK(a.count.size() == 1 || int64_t(a.count.size()) == a.scores.dim(0));
}

void check_args(const KeptMassArgs& a) {
  ZT_CHECK(a.mass.rank() == 3 && is_floats(a.mass, a.mass.shape));
  ZT_CHECK(a.map.dtype == DType::u8 && a.map.dense() && a.map.shape == a.mass.shape);
  ZT_CHECK(int64_t(a.kept.size()) == a.mass.dim(0) && a.total.size() == a.kept.size());
}

void check_args(const HeadErrorsArgs& a) {
  ZT_CHECK(a.a.rank() == 3 && is_heads(a.a, a.a.shape) && is_heads(a.b, a.a.shape));
  ZT_CHECK(int64_t(a.error.size()) == a.a.dim(0) && a.norm.size() == a.error.size());
}

void check_args(const MergePartialsArgs& a) {
  const Shape& s = a.out.shape;
  ZT_CHECK(a.out.rank() == 4 && is_heads(a.out, s) && is_heads(a.out0, s) && is_heads(a.out1, s));
  Shape rows{s[0], s[1], s[2]};
  ZT_CHECK(is_floats(a.lse0, rows) && is_floats(a.lse1, rows) && (!a.lse || is_floats(a.lse, rows)));
}

void check_attention(const AttentionPlan& plan, const AttentionProblem& p, const AttentionArgs& a) {
  ZT_CHECK(plan.model_heads() == 0 || plan.model_heads() == p.heads);
  auto tensor = [&](const TensorView& t, int64_t tokens) {
    ZT_CHECK(t.dtype == p.dtype && t.shape == (Shape{p.batch, p.heads, tokens, p.head_dim}) && (p.head_dim == 1 || t.stride(3) == 1));
  };
  tensor(a.q, plan.nq()), tensor(a.k, plan.nk());
  ZT_CHECK(bool(a.v) == bool(a.out));
  if (a.out) tensor(a.v, plan.nk()), tensor(a.out, plan.nq());
  auto rows = [&](const TensorView& t) { return t.dtype == DType::f32 && t.dense() && t.count() == p.batch * p.heads * plan.nq(); };
  ZT_CHECK((!a.lse || rows(a.lse)) && (!a.mass_lse || rows(a.mass_lse)));
  ZT_CHECK(p.block_mass == bool(a.block_mass));
  if (a.block_mass) ZT_CHECK(is_floats(a.block_mass, {p.batch, p.heads, plan.parts().q.count(), plan.parts().k.count()}));
  if (a.out && plan.has_linear() && plan.parts().linear->projection) {
    ZT_CHECK(is_floats(a.proj_weight, {p.head_dim, p.head_dim}) && is_vector(a.proj_bias, p.head_dim));
  }
}

void check_pack(const LinearDesc& d, std::span<const LinearRows> rows) {
  ZT_CHECK(d.in > 0 && d.out > 0 && (d.compute == DType::f32 || d.compute == DType::bf16));
  int64_t out = 0;
  for (const LinearRows& r : rows) {
    ZT_CHECK(r.weight.rank() == 2 && r.weight.dim(1) == d.in && (r.weight.stride(1) == 1 || d.in == 1));
    if (r.bias) ZT_CHECK(r.bias.dense() && r.bias.count() == r.weight.dim(0));
    out += r.weight.dim(0);
  }
  ZT_CHECK(out == d.out);
}

void check_pack(const ConvDesc& d, const TensorView& weight, const TensorView& bias) {
  ZT_CHECK(d.in > 0 && d.out > 0 && d.kt > 0 && d.kh > 0 && d.kw > 0 && d.stride_t > 0);
  ZT_CHECK(d.compute == DType::f32 || d.compute == DType::bf16);
  ZT_CHECK(d.result == DType::f32 || d.result == DType::bf16);
  ZT_CHECK(weight.dense() && (weight.rank() == 4 || weight.rank() == 5) && weight.dim(0) == d.out && weight.dim(1) == d.in);
  ZT_CHECK(weight.dim(-2) == d.kh && weight.dim(-1) == d.kw && (weight.rank() == 5 ? weight.dim(2) : 1) == d.kt);
  if (bias) ZT_CHECK(bias.dense() && bias.count() == d.out);
}

}  // namespace zt
