// The small ops: descriptors and entry points. `rows` are tokens. Statistics and sums are f32 whatever the storage.
#pragma once

#include <span>

#include "kernels/api/exec_context.h"

namespace zt {

enum class NormKind : uint8_t {
  none,
  layer,  // (x - mean) / sqrt(var + eps)
  rms     // x / sqrt(mean(x^2) + eps)
};

// Residual add, then normalisation and modulation, in one pass over each row:
//   x[r] += gate[g(r)] * y[r]                            when y is given (gate empty = 1)
//   out[r] = norm(x[r]) * (add_one + scale[g(r)]) + shift[g(r)]   when out is given (scale, shift may be empty)
// Rows share modulation in groups: g(r) = r / rows_per_group, so scale, shift and gate are [G, C] with G = 1 (T2V)
// or one row per latent frame. Wan blocks: arXiv 2503.20314, diffusers transformer_wan.py.
struct NormArgs {
  TensorView x;                   // [R, C] f32 (updated in place when y is given); row stride free
  TensorView y;                   // [R, C] f32 or bf16, or empty
  TensorView gate, scale, shift;  // [G, C] f32, or empty
  int64_t rows_per_group = 0;     // 0 = all rows
  NormKind kind = NormKind::layer;
  bool add_one = false;           // scale is used as 1 + scale
  float eps = 1e-6f;
  TensorView out;                 // [R, C] f32 or bf16, or empty
};
void norm(const NormArgs& args, const ExecContext& ctx);

// RMS norm over the full width (all heads together), then optional rotary embedding per head; in place or not.
// Pair (2i, 2i+1) of each head: (a, b) -> (a cos - b sin, a sin + b cos).
struct QkNormRopeArgs {
  TensorView x;         // [R, heads * D] f32 or bf16; row stride free
  TensorView weight;    // [heads * D] f32
  TensorView cos, sin;  // [R, D / 2] f32, or empty for no rotation
  int64_t heads = 1;
  float eps = 1e-6f;
  TensorView out;       // like x; may be x itself
};
void qk_norm_rope(const QkNormRopeArgs& args, const ExecContext& ctx);

// Wan VAE norm over channels: out = x / max(||x||_2, 1e-12) * sqrt(C) * gamma, then SiLU when asked.
struct ChannelNormArgs {
  TensorView x;      // [P, C] f32 or bf16, dense
  TensorView gamma;  // [C] f32
  bool silu = true;
  TensorView out;    // [P, C] f32 or bf16; may be x itself when the types agree
};
void channel_norm(const ChannelNormArgs& args, const ExecContext& ctx);

// Attention with a full additive bias, for the text encoder (N <= a few hundred):
// out = softmax(q k^T * scale + bias) v.
struct BiasAttentionArgs {
  TensorView q, k, v, out;  // [H, N, D] f32 or bf16, any strides with the last axis contiguous
  TensorView bias;          // [H, N, N] f32 dense
  float scale = 1;
};
void bias_attention(const BiasAttentionArgs& args, const ExecContext& ctx);

enum class Elementwise : uint8_t {
  copy,      // out = a (with a change of type)
  add,       // out = a + b
  mul,       // out = a * b
  silu,      // out = a * sigmoid(a)
  relu,      // out = max(a, 0)
  gelu_tanh  // out = 0.5 a (1 + tanh(sqrt(2/pi) (a + 0.044715 a^3)))
};
struct ElementwiseArgs {
  Elementwise op = Elementwise::copy;
  TensorView a, b, out;  // [R, C] f32 or bf16; last axis contiguous, row stride free; b only for add and mul
};
void elementwise(const ElementwiseArgs& args, const ExecContext& ctx);

// out = sum_i coef[i] * in[i], all f32, dense, equal counts; at most 6 terms; out may be one of the inputs. Sums run in
// the order given, in double, and round once: samplers and guidance use it.
struct AffineSumArgs {
  std::span<const double> coef;
  std::span<const TensorView> in;
  TensorView out;
};
void affine_sum(const AffineSumArgs& args, const ExecContext& ctx);

// Latent [C, T, H, W] f32 -> tokens [T*(H/ph)*(W/pw), C*ph*pw] (channel slowest, as the patch-embedding weight is).
struct PatchifyArgs {
  TensorView latent, tokens;
  int64_t ph = 2, pw = 2;
};
void patchify(const PatchifyArgs& args, const ExecContext& ctx);

// Tokens [N, ph*pw*C] f32 (channel fastest, as the Wan head writes them) -> latent [C, T, H, W] f32.
struct UnpatchifyArgs {
  TensorView tokens, latent;
  int64_t ph = 2, pw = 2;
};
void unpatchify(const UnpatchifyArgs& args, const ExecContext& ctx);

// out[r] = table[index[r]]; table [V, C] any float type, out [R, C] f32 or bf16. Indices must be in range.
struct GatherRowsArgs {
  TensorView table, out;
  std::span<const int32_t> index;
};
void gather_rows(const GatherRowsArgs& args, const ExecContext& ctx);

}  // namespace zt
