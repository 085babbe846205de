// Linear layers and convolutions: weights packed once, products by the maths library. A convolution writes the pixels that each
// output reads as rows of a matrix, some tens of megabytes at a time, and multiplies those.
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/api/conv.h"
#include "kernels/api/linear.h"
#include "kernels/cuda/ops/elementwise.cuh"

namespace zt::cuda {
namespace {

// For products the library has no way for: rows that are not aligned, f32 in with bf16 out. One thread a value.
struct PlainGemmKernel {
  static constexpr std::string_view kName = "plain_gemm";
  static constexpr int kThreads = 128, kMinBlocks = 4;
  struct Params {
    Values x, w, bias, y;
    int64_t n, k, ldx, ldw, ldy;
    bool has_bias, gelu, accumulate;
  };
  static ZT_DEVICE void run(const Params& p) {
    const int64_t col = int64_t(hw::block_y()) * kThreads + hw::thread(), row = hw::block_x();
    if (col >= p.n) return;
    float sum = 0;
    for (int64_t i = 0; i < p.k; ++i) sum = hw::fma(load(p.x, row * p.ldx + i), load(p.w, col * p.ldw + i), sum);
    if (p.has_bias) sum += load(p.bias, col);
    if (p.gelu) sum = gelu_tanh(sum);
    if (p.accumulate) sum += load(p.y, row * p.ldy + col);
    store(p.y, row * p.ldy + col, sum);
  }
};

inline void multiply(const Gemm& g, const ExecContext& ctx) {
  if (g.m == 0 || g.n == 0 || device_of(ctx).gemm(g)) return;
  auto of = [](const void* p, DType t) { return values(TensorView(const_cast<void*>(p), t, {1})); };
  start<PlainGemmKernel>(ctx, g.m, ceil_div(g.n, 128), 0,
                         {of(g.x, g.in), of(g.w, g.in), of(g.bias, g.out), of(g.y, g.out), g.n, g.k, g.ldx, g.ldw, g.ldy, g.bias != nullptr,
                          g.act == Activation::gelu_tanh, g.accumulate});
}

// Rows of a weight matrix and their bias on the device. Rows are padded to 16 bytes.
struct PackedRows {
  Tensor weight, bias_f32, bias_bf16;
  int64_t ld = 0;

  size_t bytes() const { return weight.view().bytes() + bias_f32.view().bytes() + (bias_bf16 ? bias_bf16.view().bytes() : 0); }
  const void* bias(DType t) const { return t == DType::f32 ? bias_f32.data() : bias_bf16.data(); }
  static int64_t padded(int64_t columns, DType t) { return ceil_div(columns, 16 / int64_t(dtype_size(t))) * (16 / int64_t(dtype_size(t))); }
  static size_t bytes_of(int64_t rows, int64_t columns, DType t) {
    return Arena::block_bytes(size_t(rows * padded(columns, t)) * dtype_size(t)) + Arena::block_bytes(size_t(rows) * 4) +
           Arena::block_bytes(size_t(rows) * 2);
  }

  // value(row, column) and bias[row], in f32. One row at a time is staged, so that large layers need little host memory.
  template <class F>
  Status fill(int64_t rows, int64_t columns, DType t, const std::vector<float>& biases, F&& row_of, const ExecContext& ctx) {
    ld = padded(columns, t);
    ZT_ASSIGN_OR_RETURN(weight, ctx.arena->make(t, {rows, ld}));
    ZT_ASSIGN_OR_RETURN(bias_f32, ctx.arena->make(DType::f32, {rows}));
    ZT_ASSIGN_OR_RETURN(bias_bf16, ctx.arena->make(DType::bf16, {rows}));
    Memory& memory = *ctx.arena->memory();
    const size_t row_bytes = size_t(ld) * dtype_size(t);
    const int64_t group = std::clamp<int64_t>(int64_t((size_t(8) << 20) / row_bytes), 1, rows);
    std::vector<uint8_t> staged(row_bytes * size_t(group));
    for (int64_t first = 0; first < rows; first += group) {
      const int64_t count = std::min(group, rows - first);
      std::fill(staged.begin(), staged.end(), uint8_t(0));
      for (int64_t r = 0; r < count; ++r) row_of(first + r, staged.data() + size_t(r) * row_bytes);
      ZT_RETURN_IF_ERROR(memory.upload(static_cast<uint8_t*>(weight.data()) + size_t(first) * row_bytes, staged.data(), size_t(count) * row_bytes));
    }
    std::vector<bf16> rounded(biases.size());
    std::transform(biases.begin(), biases.end(), rounded.begin(), [](float b) { return bf16(b); });
    ZT_RETURN_IF_ERROR(memory.upload(bias_f32.data(), biases.data(), biases.size() * 4));
    return memory.upload(bias_bf16.data(), rounded.data(), rounded.size() * 2);
  }
};

inline std::vector<float> bias_values(const TensorView& bias, int64_t rows) {
  std::vector<float> out(static_cast<size_t>(rows), 0.f);
  if (bias) convert_floats(bias.data, bias.dtype, out.data(), DType::f32, rows);
  return out;
}

class CudaLinear final : public PackedLinear {
 public:
  CudaLinear(const LinearDesc& d, PackedRows rows) : d_(d), rows_(std::move(rows)) {}
  const LinearDesc& desc() const override { return d_; }
  size_t bytes() const override { return rows_.bytes(); }
  void run(const TensorView& x, const TensorView& y, const ExecContext& ctx) const override {
    ZT_CHECK(x.device == zt::Device::cuda && y.device == zt::Device::cuda && x.dtype == d_.compute);
    Gemm g;
    g.m = x.dim(0), g.n = d_.out, g.k = d_.in;
    g.x = x.data, g.ldx = x.stride(0), g.w = rows_.weight.data(), g.ldw = rows_.ld, g.y = y.data, g.ldy = y.stride(0);
    g.in = d_.compute, g.out = y.dtype, g.bias = rows_.bias(y.dtype);
    g.act = d_.act == Activation::gelu_tanh ? d_.act : Activation::none;
    multiply(g, ctx);
    if (d_.act == Activation::silu) run_elementwise({Elementwise::silu, y, {}, y}, ctx);
  }

 private:
  LinearDesc d_;
  PackedRows rows_;
};

class CudaLinearBackend final : public LinearBackend {
 public:
  std::string_view name() const override { return "cublaslt"; }
  std::string why_not(const LinearDesc&, const ExecContext&) const override { return {}; }
  Result<std::unique_ptr<PackedLinear>> pack(const LinearDesc& d, std::span<const LinearRows> parts, const ExecContext& ctx) const override {
    std::vector<float> bias;
    for (const LinearRows& p : parts) {
      auto own = bias_values(p.bias, p.weight.dim(0));
      bias.insert(bias.end(), own.begin(), own.end());
    }
    PackedRows rows;
    auto row_of = [&](int64_t row, void* to) {
      const LinearRows* part = parts.data();
      while (row >= part->weight.dim(0)) row -= part++->weight.dim(0);
      const TensorView& w = part->weight;
      convert_floats(static_cast<const uint8_t*>(w.data) + row * w.stride(0) * int64_t(dtype_size(w.dtype)), w.dtype, to, d.compute, d.in);
    };
    ZT_RETURN_IF_ERROR(rows.fill(d.out, d.in, d.compute, bias, row_of, ctx));
    return std::unique_ptr<PackedLinear>(new CudaLinear(d, std::move(rows)));
  }
};

// Rows of pixels' neighbourhoods: row = output pixel, columns = (frame, row, column of the window, channel), padded with zeros.
// Values are moved as bits, Unit = as many of them as divide the channels.
template <class Unit>
struct WindowKernel {
  static constexpr std::string_view kName = "conv windows";
  static constexpr int kThreads = 256, kMinBlocks = 2, kFrames = 4;
  struct Params {
    hw::gptr<const Unit> frames[kFrames];
    bool there[kFrames];
    hw::gptr<Unit> rows;
    int64_t first, count;  // pixel of the first row; units in all
    int units_row, units_pixel, taps, kh, kw;
    int h, w, out_w, step, scale, pad_h, pad_w;  // h, w of the frames
  };
  static ZT_DEVICE void run(const Params& p) {
    const int64_t i = int64_t(hw::block_x()) * kThreads + hw::thread();
    if (i >= p.count) return;
    const int64_t pixel = p.first + i / p.units_row;
    const int unit = int(i % p.units_row), tap = unit / p.units_pixel;
    Unit value{};
    if (tap < p.taps) {
      const int frame = tap / (p.kh * p.kw);
      const int y = int(pixel / p.out_w) * p.step + tap / p.kw % p.kh - p.pad_h, x = int(pixel % p.out_w) * p.step + tap % p.kw - p.pad_w;
      if (p.there[frame] && y >= 0 && x >= 0 && y < p.h * p.scale && x < p.w * p.scale) {
        value = hw::ldg(p.frames[frame] + (int64_t(y / p.scale * p.w + x / p.scale) * p.units_pixel + unit % p.units_pixel));
      }
    }
    hw::stg(p.rows + i, value);
  }
};

class CudaConv final : public PackedConv {
 public:
  CudaConv(const ConvDesc& d, PackedRows rows) : d_(d), rows_(std::move(rows)) {}
  const ConvDesc& desc() const override { return d_; }
  size_t bytes() const override { return rows_.bytes(); }
  size_t workspace_bytes(int64_t h, int64_t w, const ExecContext&) const override { return workspace_of(d_, h, w); }

  void run(std::span<const void* const> in, std::span<void* const> out, int64_t h, int64_t w, void* workspace,
           const ExecContext& ctx) const override {
    const ConvSize size = conv_out_size(d_, h, w);
    const int64_t pixels = size.h * size.w;
    for (size_t f = 0; f < out.size(); ++f) {
      auto window = in.subspan(f * size_t(d_.stride_t), size_t(d_.kt));
      Gemm g;
      g.n = d_.out, g.k = rows_.ld, g.w = rows_.weight.data(), g.ldw = rows_.ld, g.ldy = d_.out;
      g.in = d_.compute, g.out = d_.result, g.bias = rows_.bias(d_.result), g.accumulate = d_.accumulate;
      for (int64_t first = 0; first < pixels; first += chunk(d_)) {
        g.m = std::min(chunk(d_), pixels - first);
        g.y = static_cast<uint8_t*>(out[f]) + size_t(first * d_.out) * dtype_size(d_.result);
        g.x = workspace, g.ldx = rows_.ld;
        if (window_is_pixel()) {
          g.x = static_cast<const uint8_t*>(window[0]) + size_t(first * d_.in) * dtype_size(d_.compute), g.ldx = g.k = d_.in;
        } else {
          gather(window, first, g.m, size.w, h, w, workspace, ctx);
        }
        multiply(g, ctx);
      }
    }
  }

  // Rows a product: their matrix should stay in a large cache.
  static int64_t chunk(const ConvDesc& d) {
    constexpr size_t kBytes = size_t(32) << 20;
    return std::max<int64_t>(128, int64_t(kBytes / (size_t(columns(d)) * dtype_size(d.compute))));
  }
  static int64_t columns(const ConvDesc& d) { return PackedRows::padded(int64_t(d.kt) * d.kh * d.kw * d.in, d.compute); }
  static size_t workspace_of(const ConvDesc& d, int64_t h, int64_t w) {
    const ConvSize size = conv_out_size(d, h, w);
    return size_t(std::min(chunk(d), size.h * size.w) * columns(d)) * dtype_size(d.compute);
  }

 private:
  bool window_is_pixel() const { return d_.kt == 1 && d_.kh == 1 && d_.kw == 1 && d_.space == ConvSpace::same; }

  void gather(std::span<const void* const> window, int64_t first, int64_t rows, int64_t out_w, int64_t h, int64_t w, void* to,
              const ExecContext& ctx) const {
    const int64_t pixel_bytes = d_.in * int64_t(dtype_size(d_.compute));
    auto aligned = [&](int64_t bytes) {
      return pixel_bytes % bytes == 0 &&
             std::all_of(window.begin(), window.end(), [&](const void* f) { return reinterpret_cast<uintptr_t>(f) % size_t(bytes) == 0; });
    };
    if (aligned(16)) return start_gather<hw::U4>(window, first, rows, out_w, h, w, to, ctx);
    if (aligned(4)) return start_gather<uint32_t>(window, first, rows, out_w, h, w, to, ctx);
    start_gather<uint16_t>(window, first, rows, out_w, h, w, to, ctx);
  }

  template <class Unit>
  void start_gather(std::span<const void* const> window, int64_t first, int64_t rows, int64_t out_w, int64_t h, int64_t w, void* to,
                    const ExecContext& ctx) const {
    using Kernel = WindowKernel<Unit>;
    typename Kernel::Params p{};
    for (size_t i = 0; i < window.size(); ++i) p.frames[i] = hw::global<Unit>(window[i]), p.there[i] = window[i] != nullptr;
    const int64_t size = int64_t(sizeof(Unit)), element = int64_t(dtype_size(d_.compute));
    const bool same = d_.space != ConvSpace::down2;
    p.rows = hw::global<Unit>(to), p.first = first;
    p.units_row = int(rows_.ld * element / size), p.units_pixel = int(d_.in * element / size);
    p.count = rows * p.units_row;
    p.taps = d_.kt * d_.kh * d_.kw, p.kh = d_.kh, p.kw = d_.kw;
    p.h = int(h), p.w = int(w), p.out_w = int(out_w), p.step = same ? 1 : 2, p.scale = d_.space == ConvSpace::up2_nearest ? 2 : 1;
    p.pad_h = same ? (d_.kh - 1) / 2 : 0, p.pad_w = same ? (d_.kw - 1) / 2 : 0;
    start<Kernel>(ctx, ceil_div(p.count, Kernel::kThreads), 1, 0, p);
  }

  ConvDesc d_;
  PackedRows rows_;
};

class CudaConvBackend final : public ConvBackend {
 public:
  std::string_view name() const override { return "windows"; }
  std::string why_not(const ConvDesc& d, const ExecContext&) const override {
    if (d.kt > WindowKernel<hw::U4>::kFrames) return "windows over more than 4 frames are not there";
    return {};
  }
  Result<std::unique_ptr<PackedConv>> pack(const ConvDesc& d, const TensorView& weight, const TensorView& bias,
                                           const ExecContext& ctx) const override {
    const int64_t taps = int64_t(d.kt) * d.kh * d.kw;
    std::vector<float> source(size_t(d.in * taps)), row(source.size());
    auto row_of = [&](int64_t o, void* to) {
      convert_floats(static_cast<const uint8_t*>(weight.data) + size_t(o * d.in * taps) * dtype_size(weight.dtype), weight.dtype, source.data(),
                     DType::f32, d.in * taps);
      for (int64_t i = 0; i < d.in * taps; ++i) row[size_t(i % taps * d.in + i / taps)] = source[size_t(i)];
      convert_floats(row.data(), DType::f32, to, d.compute, d.in * taps);
    };
    PackedRows rows;
    ZT_RETURN_IF_ERROR(rows.fill(d.out, d.in * taps, d.compute, bias_values(bias, d.out), row_of, ctx));
    return std::unique_ptr<PackedConv>(new CudaConv(d, std::move(rows)));
  }
  ConvBytes bytes(const ConvDesc& d, int64_t h, int64_t w, const ExecContext&) const override {
    return {PackedRows::bytes_of(d.out, int64_t(d.kt) * d.kh * d.kw * d.in, d.compute), CudaConv::workspace_of(d, h, w)};
  }
};

}  // namespace
}  // namespace zt::cuda
