// Norms over rows: one warp a row, statistics in f32 from values that stay in the cache between passes.
#pragma once

#include "kernels/api/ops.h"
#include "kernels/cuda/ops/access.cuh"

namespace zt::cuda {
namespace {

template <int V>
struct NormKernel {
  static constexpr std::string_view kName = "norm";
  static constexpr int kThreads = 128, kMinBlocks = 4;
  struct Params {
    Values x, y, out;
    Values gate, scale, shift;
    int64_t rows, cols, x_stride, y_stride, out_stride, gate_stride, scale_stride, shift_stride, rows_per_group;
    bool has_y, has_out, has_gate, has_scale, has_shift, add_one;
    NormKind kind;
    float eps;
  };
  static ZT_DEVICE void run(const Params& p) {
    const int64_t row = int64_t(hw::block_x()) * (kThreads / 32) + hw::thread() / 32;
    const int lane = hw::thread() % 32;
    const bool there = row < p.rows;
    const int64_t r = there ? row : 0, cols = there ? p.cols : 0, g = p.rows_per_group > 0 ? r / p.rows_per_group : 0;
    float sum = 0;
    for (int64_t c = lane * V; c < cols; c += 32 * V) {
      float x[V];
      load<V>(p.x, r * p.x_stride + c, x);
      if (p.has_y) {
        float y[V], gate[V] = {};
        load<V>(p.y, r * p.y_stride + c, y);
        if (p.has_gate) load<V>(p.gate, g * p.gate_stride + c, gate);
        ZT_UNROLL
        for (int i = 0; i < V; ++i) x[i] = p.has_gate ? hw::fma(gate[i], y[i], x[i]) : x[i] + y[i];
        store<V>(p.x, r * p.x_stride + c, x);
      }
      ZT_UNROLL
      for (int i = 0; i < V; ++i) sum += x[i];
    }
    if (!p.has_out) return;
    float mean = 0, inv = 1;
    if (p.kind != NormKind::none) {
      if (p.kind == NormKind::layer) mean = hw::div(sum_lanes(sum, 32), float(p.cols));
      float squares = 0;
      for (int64_t c = lane * V; c < cols; c += 32 * V) {
        float x[V];
        load<V>(p.x, r * p.x_stride + c, x);
        ZT_UNROLL
        for (int i = 0; i < V; ++i) squares = hw::fma(x[i] - mean, x[i] - mean, squares);
      }
      inv = hw::div(1.f, hw::sqrt(hw::div(sum_lanes(squares, 32), float(p.cols)) + p.eps));
    }
    for (int64_t c = lane * V; c < cols; c += 32 * V) {
      float x[V], scale[V] = {}, shift[V] = {};
      load<V>(p.x, r * p.x_stride + c, x);
      if (p.has_scale) load<V>(p.scale, g * p.scale_stride + c, scale);
      if (p.has_shift) load<V>(p.shift, g * p.shift_stride + c, shift);
      ZT_UNROLL
      for (int i = 0; i < V; ++i) {
        float v = (x[i] - mean) * inv;
        if (p.has_scale) v *= p.add_one ? 1.f + scale[i] : scale[i];
        if (p.has_shift) v += shift[i];
        x[i] = v;
      }
      store<V>(p.out, r * p.out_stride + c, x);
    }
  }
};

template <int V>
void start_norm(const NormArgs& a, const ExecContext& ctx) {
  auto stride = [](const TensorView& v) { return v ? v.stride(0) : 0; };
  typename NormKernel<V>::Params p{values(a.x),        values(a.y),     values(a.out),    values(a.gate),    values(a.scale),
                                   values(a.shift),    a.x.dim(0),      a.x.dim(1),       stride(a.x),       stride(a.y),
                                   stride(a.out),      stride(a.gate),  stride(a.scale),  stride(a.shift),   a.rows_per_group,
                                   bool(a.y),          bool(a.out),     bool(a.gate),     bool(a.scale),     bool(a.shift),
                                   a.add_one,          a.kind,          a.eps};
  start<NormKernel<V>>(ctx, ceil_div(p.rows, 4), 1, 0, p);
}

inline void run_norm(const NormArgs& a, const ExecContext& ctx) {
  bool four = true;
  for (const TensorView* v : {&a.x, &a.y, &a.out, &a.gate, &a.scale, &a.shift}) four = four && aligned4(*v);
  four ? start_norm<4>(a, ctx) : start_norm<1>(a, ctx);
}

// V = 4 or 2 elements, whole pairs; 1 without rotation.
template <int V>
struct QkNormRopeKernel {
  static constexpr std::string_view kName = "qk_norm_rope";
  static constexpr int kThreads = 128, kMinBlocks = 4;
  struct Params {
    Values x, weight, cos, sin, out;
    int64_t rows, cols, x_stride, out_stride, cos_stride, sin_stride, pairs;
    bool rotate;
    float eps;
  };
  static ZT_DEVICE void run(const Params& p) {
    const int64_t row = int64_t(hw::block_x()) * (kThreads / 32) + hw::thread() / 32;
    const int lane = hw::thread() % 32;
    const bool there = row < p.rows;
    const int64_t r = there ? row : 0, cols = there ? p.cols : 0;
    float squares = 0;
    for (int64_t c = lane * V; c < cols; c += 32 * V) {
      float x[V];
      load<V>(p.x, r * p.x_stride + c, x);
      ZT_UNROLL
      for (int i = 0; i < V; ++i) squares = hw::fma(x[i], x[i], squares);
    }
    const float inv = hw::div(1.f, hw::sqrt(hw::div(sum_lanes(squares, 32), float(p.cols)) + p.eps));
    for (int64_t c = lane * V; c < cols; c += 32 * V) {
      float x[V], w[V];
      load<V>(p.x, r * p.x_stride + c, x);
      load<V>(p.weight, c, w);
      ZT_UNROLL
      for (int i = 0; i < V; ++i) x[i] = x[i] * inv * w[i];
      if constexpr (V > 1) {
        if (p.rotate) {
          ZT_UNROLL
          for (int i = 0; i < V; i += 2) {
            const int64_t pair = (c + i) / 2 % p.pairs;
            const float cs = load(p.cos, r * p.cos_stride + pair), sn = load(p.sin, r * p.sin_stride + pair);
            const float re = x[i], im = x[i + 1];
            x[i] = re * cs - im * sn;
            x[i + 1] = re * sn + im * cs;
          }
        }
      }
      store<V>(p.out, r * p.out_stride + c, x);
    }
  }
};

template <int V>
void start_qk_norm_rope(const QkNormRopeArgs& a, const ExecContext& ctx) {
  const bool rotate = bool(a.cos);
  start<QkNormRopeKernel<V>>(ctx, ceil_div(a.x.dim(0), 4), 1, 0,
                             {values(a.x), values(a.weight), values(a.cos), values(a.sin), values(a.out), a.x.dim(0), a.x.dim(1),
                              a.x.stride(0), a.out.stride(0), rotate ? a.cos.stride(0) : 0, rotate ? a.sin.stride(0) : 0,
                              a.x.dim(1) / a.heads / 2, rotate, a.eps});
}

inline void run_qk_norm_rope(const QkNormRopeArgs& a, const ExecContext& ctx) {
  if (aligned4(a.x) && aligned4(a.out) && aligned4(a.weight)) return start_qk_norm_rope<4>(a, ctx);
  a.cos ? start_qk_norm_rope<2>(a, ctx) : start_qk_norm_rope<1>(a, ctx);
}

// `lanes` lanes a row, so that rows of few channels fill a warp together.
template <int V>
struct ChannelNormKernel {
  static constexpr std::string_view kName = "channel_norm";
  static constexpr int kThreads = 128, kMinBlocks = 4;
  struct Params {
    Values x, gamma, out;
    int64_t rows;
    int cols, lanes;
    bool silu;
  };
  static ZT_DEVICE void run(const Params& p) {
    const int64_t row = int64_t(hw::block_x()) * (kThreads / p.lanes) + hw::thread() / p.lanes;
    const int lane = hw::thread() % p.lanes;
    const bool there = row < p.rows;
    const int64_t at = (there ? row : 0) * p.cols;
    const int cols = there ? p.cols : 0;
    float squares = 0;
    for (int c = lane * V; c < cols; c += p.lanes * V) {
      float x[V];
      load<V>(p.x, at + c, x);
      ZT_UNROLL
      for (int i = 0; i < V; ++i) squares = hw::fma(x[i], x[i], squares);
    }
    squares = sum_lanes(squares, p.lanes);
    float inv = hw::div(hw::sqrt(float(p.cols)), hw::max(hw::sqrt(squares), 1e-12f));
    if (squares != squares) inv = squares;  // max would drop it
    for (int c = lane * V; c < cols; c += p.lanes * V) {
      float x[V], gamma[V];
      load<V>(p.x, at + c, x);
      load<V>(p.gamma, c, gamma);
      ZT_UNROLL
      for (int i = 0; i < V; ++i) {
        x[i] = x[i] * inv * gamma[i];
        if (p.silu) x[i] = cuda::silu(x[i]);
      }
      store<V>(p.out, at + c, x);
    }
  }
};

template <int V>
void start_channel_norm(const ChannelNormArgs& a, const ExecContext& ctx) {
  int lanes = 1;
  while (lanes < 32 && lanes * V < a.x.dim(1)) lanes *= 2;
  start<ChannelNormKernel<V>>(ctx, ceil_div(a.x.dim(0), 128 / lanes), 1, 0,
                              {values(a.x), values(a.gamma), values(a.out), a.x.dim(0), int(a.x.dim(1)), lanes, a.silu});
}

inline void run_channel_norm(const ChannelNormArgs& a, const ExecContext& ctx) {
  aligned4(a.x) && aligned4(a.gamma) && aligned4(a.out) ? start_channel_norm<4>(a, ctx) : start_channel_norm<1>(a, ctx);
}

}  // namespace
}  // namespace zt::cuda
