// Ops on single values: elementwise, weighted sums, patches, rows by index.
#pragma once

#include <vector>

#include "kernels/api/ops.h"
#include "kernels/cuda/ops/access.cuh"

namespace zt::cuda {
namespace {

template <int V>
struct ElementwiseKernel {
  static constexpr std::string_view kName = "elementwise";
  static constexpr int kThreads = 256, kMinBlocks = 2;
  struct Params {
    Values a, b, out;
    int64_t groups, cols, a_stride, b_stride, out_stride;  // groups of V values
    Elementwise op;
  };
  static ZT_DEVICE void run(const Params& p) {
    const int64_t group = int64_t(hw::block_x()) * kThreads + hw::thread();
    if (group >= p.groups) return;
    const int64_t row = group * V / p.cols, col = group * V % p.cols;
    float x[V], y[V] = {};
    load<V>(p.a, row * p.a_stride + col, x);
    if (p.op == Elementwise::add || p.op == Elementwise::mul) load<V>(p.b, row * p.b_stride + col, y);
    ZT_UNROLL
    for (int i = 0; i < V; ++i) {
      switch (p.op) {
        case Elementwise::copy: break;
        case Elementwise::add: x[i] += y[i]; break;
        case Elementwise::mul: x[i] *= y[i]; break;
        case Elementwise::silu: x[i] = silu(x[i]); break;
        case Elementwise::relu: x[i] = x[i] < 0.f ? 0.f : x[i]; break;
        case Elementwise::gelu_tanh: x[i] = gelu_tanh(x[i]); break;
      }
    }
    store<V>(p.out, row * p.out_stride + col, x);
  }
};

template <int V>
void start_elementwise(const ElementwiseArgs& a, const ExecContext& ctx) {
  const int64_t groups = a.a.count() / V;
  start<ElementwiseKernel<V>>(ctx, ceil_div(groups, 256), 1, 0,
                              {values(a.a), values(a.b), values(a.out), groups, a.a.dim(1), a.a.stride(0), a.b ? a.b.stride(0) : 0,
                               a.out.stride(0), a.op});
}

inline void run_elementwise(const ElementwiseArgs& a, const ExecContext& ctx) {
  aligned4(a.a) && aligned4(a.b) && aligned4(a.out) ? start_elementwise<4>(a, ctx) : start_elementwise<1>(a, ctx);
}

struct AffineSumKernel {
  static constexpr std::string_view kName = "affine_sum";
  static constexpr int kThreads = 256, kMinBlocks = 2, kTerms = 6;
  struct Params {
    hw::gptr<const float> in[kTerms];
    hw::gptr<float> out;
    double coef[kTerms];
    int terms;
    int64_t count;
  };
  static ZT_DEVICE void run(const Params& p) {
    const int64_t i = int64_t(hw::block_x()) * kThreads + hw::thread();
    if (i >= p.count) return;
    double sum = 0;
    for (int t = 0; t < p.terms; ++t) sum += p.coef[t] * double(hw::ldg(p.in[t] + i));
    hw::stg(p.out + i, float(sum));
  }
};

inline void run_affine_sum(const AffineSumArgs& a, const ExecContext& ctx) {
  AffineSumKernel::Params p{};
  for (size_t t = 0; t < a.in.size(); ++t) p.in[t] = hw::global<float>(static_cast<const void*>(a.in[t].data)), p.coef[t] = a.coef[t];
  p.out = hw::global<float>(a.out.data), p.terms = int(a.in.size()), p.count = a.out.count();
  start<AffineSumKernel>(ctx, ceil_div(p.count, 256), 1, 0, p);
}

// One thread a value of the token matrix [N, C ph pw]. In: channel slowest (patchify); out: channel fastest.
template <bool kIn>
struct PatchKernel {
  static constexpr std::string_view kName = kIn ? "patchify" : "unpatchify";
  static constexpr int kThreads = 256, kMinBlocks = 2;
  struct Params {
    hw::gptr<float> latent;
    Values tokens;
    int64_t count, channels, h, w, ph, pw;  // h, w in patches
    int64_t token_stride, stride_c, stride_t, stride_h, stride_w;
  };
  static ZT_DEVICE void run(const Params& p) {
    const int64_t index = int64_t(hw::block_x()) * kThreads + hw::thread();
    if (index >= p.count) return;
    const int64_t size = p.channels * p.ph * p.pw, token = index / size, e = index % size;
    const int64_t c = kIn ? e / (p.ph * p.pw) : e % p.channels, cell = kIn ? e % (p.ph * p.pw) : e / p.channels;
    const int64_t t = token / (p.h * p.w), y = token / p.w % p.h * p.ph + cell / p.pw, x = token % p.w * p.pw + cell % p.pw;
    const int64_t at = c * p.stride_c + t * p.stride_t + y * p.stride_h + x * p.stride_w;
    if constexpr (kIn) {
      store(p.tokens, token * p.token_stride + e, hw::ldg(p.latent + at));
    } else {
      hw::stg(p.latent + at, load(p.tokens, token * p.token_stride + e));
    }
  }
};

template <bool kIn>
void start_patch(const TensorView& latent, const TensorView& tokens, int64_t ph, int64_t pw, const ExecContext& ctx) {
  start<PatchKernel<kIn>>(ctx, ceil_div(latent.count(), 256), 1, 0,
                          {hw::global<float>(latent.data), values(tokens), latent.count(), latent.dim(0), latent.dim(2) / ph,
                           latent.dim(3) / pw, ph, pw, tokens.stride(0), latent.stride(0), latent.stride(1), latent.stride(2),
                           latent.stride(3)});
}
inline void run_patchify(const PatchifyArgs& a, const ExecContext& ctx) { start_patch<true>(a.latent, a.tokens, a.ph, a.pw, ctx); }
inline void run_unpatchify(const UnpatchifyArgs& a, const ExecContext& ctx) { start_patch<false>(a.latent, a.tokens, a.ph, a.pw, ctx); }

struct GatherKernel {
  static constexpr std::string_view kName = "gather_rows";
  static constexpr int kThreads = 256, kMinBlocks = 2;
  struct Params {
    Values table, out;
    hw::gptr<const int32_t> index;
    int64_t count, cols, table_stride, out_stride;
  };
  static ZT_DEVICE void run(const Params& p) {
    const int64_t i = int64_t(hw::block_x()) * kThreads + hw::thread();
    if (i >= p.count) return;
    const int64_t row = i / p.cols, col = i % p.cols;
    store(p.out, row * p.out_stride + col, load(p.table, int64_t(hw::ldg(p.index + row)) * p.table_stride + col));
  }
};

// A table in host memory (embeddings in a mapped file, of which a prompt needs few rows) is read by the host.
inline void gather_on_host(const GatherRowsArgs& a, const ExecContext& ctx) {
  const int64_t rows = a.out.dim(0), cols = a.out.dim(1);
  std::vector<uint8_t> staged(size_t(rows * cols) * dtype_size(a.out.dtype));
  for (int64_t r = 0; r < rows; ++r) {
    const auto* from = static_cast<const uint8_t*>(a.table.data) + a.index[size_t(r)] * a.table.stride(0) * int64_t(dtype_size(a.table.dtype));
    convert_floats(from, a.table.dtype, staged.data() + size_t(r * cols) * dtype_size(a.out.dtype), a.out.dtype, cols);
  }
  (void)device_of(ctx).upload(a.out.data, staged.data(), staged.size());  // its error is kept
}

inline void run_gather_rows(const GatherRowsArgs& a, const ExecContext& ctx) {
  if (a.table.device == zt::Device::cpu) return gather_on_host(a, ctx);
  Scratch index(a.index, ctx);
  if (!index) return;
  const int64_t count = a.out.count();
  start<GatherKernel>(ctx, ceil_div(count, 256), 1, 0,
                      {values(a.table), values(a.out), hw::global<int32_t>(static_cast<const void*>(index.data())), count, a.out.dim(1),
                       a.table.stride(0), a.out.stride(0)});
}

}  // namespace
}  // namespace zt::cuda
