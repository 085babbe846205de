#include <algorithm>

#include "kernels/api/transfer.h"
#include "kernels/core/parallel.h"
#include "model/vae/leaving_frames.h"
#include "model/vae/network.h"
#include "model/vae/vae.h"
#include "model/vae/weights.h"

namespace zt {
namespace {

class Decoder final : public VaeDecoder {
 public:
  Decoder(VaeNetwork net, std::unique_ptr<PackedLinear> post_quant, int64_t scale)
      : net_(std::move(net)), post_quant_(std::move(post_quant)), scale_(scale) {}

  Status begin(int64_t h, int64_t w, const ExecContext& ctx) override {
    h_ = h, w_ = w;
    ZT_RETURN_IF_ERROR(net_.begin(h, w, ctx));
    ZT_RETURN_IF_ERROR(leaving_.begin({h * w * scale_ * scale_, kRgb}, ctx));
    rows_ = {};
    ZT_ASSIGN_OR_RETURN(rows_, ctx.arena->make(DType::f32, {h * w, post_quant_->desc().in}));
    return {};
  }

  Status push(const TensorView& z, const FrameSink& sink, const ExecContext& ctx) override {
    const int64_t channels = post_quant_->desc().in;
    ZT_CHECK(rows_ && z.dtype == DType::f32 && z.shape == (Shape{channels, h_, w_}) && z.device == Device::cpu);
    ZT_ASSIGN_OR_RETURN(HostWrite in, HostWrite::make(rows_, ctx));
    for (int64_t p = 0; p < h_ * w_; ++p) {
      const float* from = z.as<float>() + p / w_ * z.stride(1) + p % w_ * z.stride(2);
      for (int64_t c = 0; c < channels; ++c) in.view().as<float>()[p * channels + c] = from[c * z.stride(0)];
    }
    ZT_RETURN_IF_ERROR(in.finish(ctx));
    post_quant_->run(rows_, net_.input(), ctx);
    const auto give = giver(sink, ctx);
    return net_.push([&](const TensorView& rows) { return leaving_.push(rows, give, ctx); }, ctx);
  }

  Status finish(const FrameSink& sink, const ExecContext& ctx) override { return leaving_.finish(giver(sink, ctx)); }

  void end() override {
    net_.end();
    leaving_.end();
    rows_ = {};
  }

  size_t weight_bytes() const override { return net_.weight_bytes() + post_quant_->bytes(); }

 private:
  // To the sink, in its range and shape.
  LeavingFrames::Give giver(const FrameSink& sink, const ExecContext& ctx) const {
    return [this, &sink, &ctx](const TensorView& rows) {
      {
        ProfileZone zone(ctx.profiler, "vae.clamp");
        float* v = rows.as<float>();
        parallel_ranges(ctx.threads, rows.count(), 1 << 16, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) v[i] = std::clamp(v[i], -1.f, 1.f);
        });
      }
      return sink(rows.reshape({h_ * scale_, w_ * scale_, kRgb}));
    };
  }

  static constexpr int64_t kRgb = 3;
  VaeNetwork net_;
  LeavingFrames leaving_;
  std::unique_ptr<PackedLinear> post_quant_;  // in f32 whatever the network computes in: it is small
  Tensor rows_;                               // [h * w, z] f32
  int64_t scale_, h_ = 0, w_ = 0;
};

}  // namespace

Result<std::unique_ptr<VaeDecoder>> VaeDecoder::load(const VaeConfig& config, WeightStore& store, DType compute,
                                                     const ExecContext& ctx) {
  ZT_RETURN_IF_ERROR(check_vae_config(config));
  ZT_RETURN_IF_ERROR(claim_vae_weights(store, vae_decoder_tensors(config), vae_encoder_tensors(config)));
  const int64_t z = config.z_dim;
  ZT_ASSIGN_OR_RETURN(auto post_quant, load_pointwise("post_quant_conv", {.in = z, .out = z}, store, ctx));
  ZT_ASSIGN_OR_RETURN(VaeNetwork net, VaeNetwork::load(vae_decoder_layers(config), store, compute, ctx));
  return std::unique_ptr<VaeDecoder>(new Decoder(std::move(net), std::move(post_quant), config.spatial_factor()));
}

}  // namespace zt
