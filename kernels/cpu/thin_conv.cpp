// Convolutions to very few channels (the VAE's last layer makes RGB). Vector code computes 16 output channels at least, so
// a direct 3x3 convolution to 3 channels throws five sixths of its work away. Here the taps in space become channels: a
// convolution without extent in space gives, for each input pixel, its share in each of the 9 neighbours (27 channels for
// RGB, of 32 computed), and adding up the shares gives the result: 4.5 times less multiplying.
#include <algorithm>
#include <vector>

#include "kernels/core/parallel.h"
#include "kernels/cpu/cpu_ops.h"

namespace zt {
namespace {

constexpr int kTaps = 9;

size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

ConvDesc share_desc(const ConvDesc& d) {
  ConvDesc s = d;
  s.out = d.out * kTaps, s.kh = s.kw = 1, s.stride_t = 1, s.result = DType::f32, s.accumulate = false;
  return s;
}

// Bands of about 4096 pixels, whose shares stay in the second-level cache; at least 8 rows, as each band computes the
// shares of one more row on either side.
int64_t band_rows(int64_t h, int64_t w) { return std::min(h, std::clamp<int64_t>(4096 / w, 8, 64)); }

// All windows of a frame have one height, so that one plan serves them: those at the edges are moved inwards.
int64_t window_rows(int64_t h, int64_t w) { return std::min(h, band_rows(h, w) + 2); }

class ThinConv final : public PackedConv {
 public:
  ThinConv(const ConvDesc& d, std::unique_ptr<PackedConv> shares, Tensor bias)
      : d_(d), shares_(std::move(shares)), bias_(std::move(bias)) {}
  const ConvDesc& desc() const override { return d_; }
  size_t bytes() const override { return shares_->bytes() + bias_.view().bytes(); }

  size_t workspace_bytes(int64_t h, int64_t w, const ExecContext& ctx) const override {
    return size_t(ctx.threads) * thread_bytes(h, w, ctx);
  }
  static size_t share_bytes(const ConvDesc& d, int64_t h, int64_t w) {
    return aligned(size_t((window_rows(h, w) + 1) * w * d.out * kTaps) * 4);  // one row more: the sums of an output row
  }

  void run(std::span<const void* const> in, std::span<void* const> out, int64_t h, int64_t w, void* workspace,
           const ExecContext& ctx) const override {
    ZT_CHECK(in.size() == size_t(d_.kt) + (out.size() - 1) * size_t(d_.stride_t));
    size_t scratch = thread_bytes(h, w, ctx);
    int64_t bands = (h + band_rows(h, w) - 1) / band_rows(h, w);
    parallel_for(ctx.threads, int64_t(out.size()) * bands, [&](int64_t i) {
      size_t frame = size_t(i / bands);
      band(in.subspan(frame * size_t(d_.stride_t), size_t(d_.kt)), out[frame], i % bands * band_rows(h, w), h, w,
           static_cast<char*>(workspace) + size_t(thread_index()) * scratch, ctx);
    });
  }

 private:
  static ExecContext alone(const ExecContext& ctx) {
    ExecContext one = ctx;
    one.threads = 1, one.profiler = nullptr;
    return one;
  }
  size_t thread_bytes(int64_t h, int64_t w, const ExecContext& ctx) const {
    return share_bytes(d_, h, w) + aligned(shares_->workspace_bytes(window_rows(h, w), w, alone(ctx)));
  }

  void band(std::span<const void* const> in, void* out, int64_t first, int64_t h, int64_t w, char* scratch,
            const ExecContext& ctx) const {
    int64_t rows = window_rows(h, w), start = std::clamp<int64_t>(first - 1, 0, h - rows), row = w * d_.out * kTaps;
    std::vector<const void*> window;
    for (const void* f : in)
      window.push_back(f ? static_cast<const char*>(f) + start * w * d_.in * int64_t(dtype_size(d_.compute)) : f);
    auto* shares = reinterpret_cast<float*>(scratch);
    void* to = shares;
    shares_->run(window, {&to, 1}, rows, w, scratch + share_bytes(d_, h, w), alone(ctx));
    float* sums = shares + rows * row;
    for (int64_t y = first; y < std::min(h, first + band_rows(h, w)); ++y) {
      switch (d_.out) {
        case 1: add_up<1>(shares, y, start, h, w, sums); break;
        case 2: add_up<2>(shares, y, start, h, w, sums); break;
        default: add_up<3>(shares, y, start, h, w, sums); break;
      }
      int64_t at = y * w * d_.out, n = w * d_.out;
      if (d_.accumulate) {
        for (int64_t i = 0; i < n; ++i) sums[i] += load_float(out, d_.result, at + i);
      }
      convert_floats(sums, DType::f32, static_cast<char*>(out) + at * int64_t(dtype_size(d_.result)), d_.result, n);
    }
  }

  // sums[x][o] = bias[o] + the shares of the neighbours of pixel (y, x) in it; `shares` begins at row `start`.
  template <int kOut>
  void add_up(const float* shares, int64_t y, int64_t start, int64_t h, int64_t w, float* sums) const {
    const float* bias = bias_.as<float>();
    auto add = [&](int64_t x, int64_t left, int64_t right) {
      float sum[kOut];
      for (int o = 0; o < kOut; ++o) sum[o] = bias[o];
      for (int64_t i = std::max<int64_t>(0, 1 - y); i < std::min<int64_t>(3, h - y + 1); ++i) {
        const float* row = shares + (y + i - 1 - start) * w * kOut * kTaps + i * 3 * kOut;
        for (int64_t j = left; j <= right; ++j) {
          for (int o = 0; o < kOut; ++o) sum[o] += row[(x + j - 1) * kOut * kTaps + j * kOut + o];
        }
      }
      for (int o = 0; o < kOut; ++o) sums[x * kOut + o] = sum[o];
    };
    add(0, 1, w > 1 ? 2 : 1);
    for (int64_t x = 1; x + 1 < w; ++x) add(x, 0, 2);
    if (w > 1) add(w - 1, 0, 1);
  }

  ConvDesc d_;
  std::unique_ptr<PackedConv> shares_;
  Tensor bias_;  // [out] f32
};

}  // namespace

bool is_thin(const ConvDesc& d) {
  return d.space == ConvSpace::same && d.kh == 3 && d.kw == 3 && d.out * kTaps <= 32 && d.in >= 16;
}

Result<std::unique_ptr<PackedConv>> pack_thin_conv(const ConvBackend& backend, const ConvDesc& d, const TensorView& weight,
                                                   const TensorView& bias, const ExecContext& ctx) {
  ZT_ASSIGN_OR_RETURN(Tensor packed_bias, ctx.arena->zeros(DType::f32, {d.out}));
  if (bias) convert_floats(bias.data, bias.dtype, packed_bias.data(), DType::f32, d.out);
  int64_t depth = d.in * d.kt;
  std::vector<float> taps(size_t(weight.count()));  // [tap, out, in, kt]
  for (int64_t o = 0; o < d.out; ++o) {
    for (int64_t i = 0; i < depth * kTaps; ++i) {
      taps[size_t((i % kTaps * d.out + o) * depth + i / kTaps)] = load_float(weight.data, weight.dtype, o * depth * kTaps + i);
    }
  }
  ConvDesc s = share_desc(d);
  TensorView view(taps.data(), DType::f32, {s.out, d.in, d.kt, 1, 1});
  ZT_ASSIGN_OR_RETURN(auto shares, backend.pack(s, view, {}, ctx));
  return std::unique_ptr<PackedConv>(new ThinConv(d, std::move(shares), std::move(packed_bias)));
}

ConvBytes thin_conv_bytes(const ConvBackend& backend, const ConvDesc& d, int64_t h, int64_t w, const ExecContext& ctx) {
  ExecContext one = ctx;
  one.threads = 1;
  ConvBytes b = backend.bytes(share_desc(d), window_rows(h, w), w, one);
  return {b.weights + Arena::block_bytes(size_t(d.out) * 4),
          size_t(ctx.threads) * (ThinConv::share_bytes(d, h, w) + aligned(b.workspace))};
}

}  // namespace zt
