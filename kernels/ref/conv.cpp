#include <vector>

#include "kernels/core/parallel.h"
#include "kernels/ref/ref_ops.h"

namespace zt {
namespace {

class RefConv final : public PackedConv {
 public:
  RefConv(const ConvDesc& d, Tensor weight, Tensor bias) : d_(d), weight_(std::move(weight)), bias_(std::move(bias)) {}
  const ConvDesc& desc() const override { return d_; }
  size_t bytes() const override { return weight_.view().bytes() + bias_.view().bytes(); }
  size_t workspace_bytes(int64_t, int64_t, const ExecContext&) const override { return 0; }

  void run(std::span<const void* const> in, std::span<void* const> out, int64_t h, int64_t w, void*,
           const ExecContext& ctx) const override {
    ConvSize size = conv_out_size(d_, h, w);
    parallel_for(ctx.threads, int64_t(out.size()) * size.h, [&](int64_t task) {
      size_t frame = size_t(task / size.h);
      out_row(in.subspan(frame * size_t(d_.stride_t), size_t(d_.kt)), out[frame], task % size.h, h, w, size.w);
    });
  }

 private:
  // Row y of an output frame, from the kt frames of its window.
  void out_row(std::span<const void* const> window, void* out, int64_t y, int64_t h, int64_t w, int64_t out_w) const {
    std::vector<double> sum(static_cast<size_t>(d_.out));
    for (int64_t x = 0; x < out_w; ++x) {
      for (int64_t o = 0; o < d_.out; ++o) sum[size_t(o)] = bias_.as<float>()[o];
      for (int t = 0; t < d_.kt; ++t) {
        for (int i = 0; i < d_.kh && window[size_t(t)]; ++i) {
          for (int j = 0; j < d_.kw; ++j) add_tap(sum, window[size_t(t)], y, x, h, w, (t * d_.kh + i) * d_.kw + j);
        }
      }
      for (int64_t o = 0; o < d_.out; ++o) {
        int64_t at = (y * out_w + x) * d_.out + o;
        double old = d_.accumulate ? double(load_float(out, d_.result, at)) : 0;
        store_float(out, d_.result, at, float(sum[size_t(o)] + old));
      }
    }
  }

  void add_tap(std::vector<double>& sum, const void* frame, int64_t y, int64_t x, int64_t h, int64_t w, int64_t tap) const {
    bool same = d_.space != ConvSpace::down2, up = d_.space == ConvSpace::up2_nearest;
    int64_t step = same ? 1 : 2, scale = up ? 2 : 1;
    int64_t iy = y * step + tap / d_.kw % d_.kh - (same ? (d_.kh - 1) / 2 : 0);
    int64_t ix = x * step + tap % d_.kw - (same ? (d_.kw - 1) / 2 : 0);
    if (iy < 0 || ix < 0 || iy >= h * scale || ix >= w * scale) return;
    int64_t pixel = iy / scale * w + ix / scale;
    for (int64_t c = 0; c < d_.in; ++c) {
      double v = load_float(frame, d_.compute, pixel * d_.in + c);
      const float* row = weight_.as<float>() + (tap * d_.in + c) * d_.out;
      for (int64_t o = 0; o < d_.out; ++o) sum[size_t(o)] += v * double(row[o]);
    }
  }

  ConvDesc d_;
  Tensor weight_, bias_;  // [kt * kh * kw, in, out] f32 holding values of d_.compute, [out] f32
};

class RefConvBackend final : public ConvBackend {
 public:
  std::string_view name() const override { return "ref"; }
  std::string why_not(const ConvDesc&, const ExecContext&) const override { return {}; }
  Result<std::unique_ptr<PackedConv>> pack(const ConvDesc& d, const TensorView& weight, const TensorView& bias,
                                           const ExecContext& ctx) const override {
    int64_t taps = int64_t(d.kt) * d.kh * d.kw;
    ZT_ASSIGN_OR_RETURN(Tensor packed, ctx.arena->make(DType::f32, {taps, d.in, d.out}));
    ZT_ASSIGN_OR_RETURN(Tensor packed_bias, ctx.arena->zeros(DType::f32, {d.out}));
    TensorView from = weight.reshape({d.out, d.in, taps});
    for (int64_t o = 0; o < d.out; ++o) {
      for (int64_t i = 0; i < d.in * taps; ++i) {
        float v = load_float(from.data, from.dtype, o * d.in * taps + i);
        packed.as<float>()[(i % taps * d.in + i / taps) * d.out + o] = d.compute == DType::bf16 ? float(bf16(v)) : v;
      }
      if (bias) packed_bias.as<float>()[o] = load_float(bias.data, bias.dtype, o);
    }
    return std::unique_ptr<PackedConv>(new RefConv(d, std::move(packed), std::move(packed_bias)));
  }
  ConvBytes bytes(const ConvDesc& d, int64_t, int64_t, const ExecContext&) const override {
    const int64_t weights = d.in * d.out * d.kt * d.kh * d.kw;
    return {Arena::block_bytes(size_t(weights) * 4) + Arena::block_bytes(size_t(d.out) * 4), 0};
  }
};

}  // namespace

std::shared_ptr<const ConvBackend> make_ref_conv() { return std::make_shared<RefConvBackend>(); }

}  // namespace zt
