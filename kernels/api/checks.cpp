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
