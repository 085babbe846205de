// Attention with an additive bias, for the text encoder: a few hundred tokens, so one block a query row will do.
#pragma once

#include "kernels/api/ops.h"
#include "kernels/cuda/ops/select.cuh"

namespace zt::cuda {
namespace {

struct BiasAttentionKernel {
  static constexpr std::string_view kName = "bias_attention";
  static constexpr int kThreads = 128, kMinBlocks = 4, kWarps = kThreads / 32;
  static constexpr uint32_t shared(int64_t n, int64_t d) { return uint32_t(kWarps * 4 + (n + d) * 4); }
  struct Params {
    HeadValues q, k, v, out;
    hw::gptr<const float> bias;
    int n, d;
    float scale;
  };
  static ZT_DEVICE void run(const Params& p) {
    const int64_t i = hw::block_x(), h = hw::block_y();
    const hw::saddr sums = hw::shared(), query = sums + kWarps * 4, weights = query + p.d * 4;
    for (int c = hw::thread(); c < p.d; c += kThreads) hw::sts(query + c * 4, load(p.q.v, h * p.q.head_stride + i * p.q.row_stride + c));
    hw::sync_block();
    float most = -hw::float_of(0x7f800000u);
    for (int j = hw::thread(); j < p.n; j += kThreads) {
      float dot = 0;
      for (int c = 0; c < p.d; ++c) {
        dot = hw::fma(hw::lds<float>(query + c * 4), load(p.k.v, h * p.k.head_stride + j * p.k.row_stride + c), dot);
      }
      dot = hw::fma(dot, p.scale, hw::ldg(p.bias + ((h * p.n + i) * p.n + j)));
      hw::sts(weights + j * 4, dot);
      most = hw::max(most, dot);
    }
    most = max_block(most, sums, kWarps);
    float sum = 0;
    for (int j = hw::thread(); j < p.n; j += kThreads) {
      const float e = hw::exp2((hw::lds<float>(weights + j * 4) - most) * kLog2e);
      hw::sts(weights + j * 4, e);
      sum += e;
    }
    sum = sum_block(sum, sums, kWarps);  // its barriers also publish the weights
    for (int c = hw::thread(); c < p.d; c += kThreads) {
      float x = 0;
      for (int j = 0; j < p.n; ++j) x = hw::fma(hw::lds<float>(weights + j * 4), load(p.v.v, h * p.v.head_stride + j * p.v.row_stride + c), x);
      store(p.out.v, h * p.out.head_stride + i * p.out.row_stride + c, hw::div(x, sum));
    }
  }
};

inline void run_bias_attention(const BiasAttentionArgs& a, const ExecContext& ctx) {
  const int64_t heads = a.q.dim(0), n = a.q.dim(1), d = a.q.dim(2);
  start<BiasAttentionKernel>(ctx, n, heads, BiasAttentionKernel::shared(n, d),
                             {head_values(a.q), head_values(a.k), head_values(a.v), head_values(a.out),
                              hw::global<float>(static_cast<const void*>(a.bias.data)), int(n), int(d), a.scale});
}

}  // namespace
}  // namespace zt::cuda
