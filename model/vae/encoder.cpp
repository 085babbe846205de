#include "kernels/api/transfer.h"
#include "model/vae/network.h"
#include "model/vae/vae.h"
#include "model/vae/weights.h"

namespace zt {
namespace {

class Encoder final : public VaeEncoder {
 public:
  Encoder(VaeNetwork net, std::unique_ptr<PackedLinear> quant, int64_t factor)
      : net_(std::move(net)), quant_(std::move(quant)), factor_(factor) {}

  Status begin(int64_t height, int64_t width, const ExecContext& ctx) override {
    if (height < factor_ || width < factor_) return invalid("frames of {}x{} are too small for the VAE: at least {}", height, width, factor_);
    height_ = height, width_ = width;
    h_ = height, w_ = width;
    for (int64_t f = factor_; f > 1; f /= 2) h_ /= 2, w_ /= 2;
    ZT_RETURN_IF_ERROR(net_.begin(height, width, ctx));
    rows_ = {}, latent_ = {};
    ZT_ASSIGN_OR_RETURN(rows_, ctx.arena->make(DType::f32, {h_ * w_, quant_->desc().out}));
    ZT_ASSIGN_OR_RETURN(latent_, host_arena(ctx).make(DType::f32, {quant_->desc().out, h_, w_}));
    return {};
  }

  Status push(const TensorView& frame, const FrameSink& latent, const ExecContext& ctx) override {
    ZT_CHECK(latent_ && frame.dtype == DType::f32 && frame.dense() && frame.shape == (Shape{height_, width_, 3}));
    ZT_ASSIGN_OR_RETURN(HostWrite in, HostWrite::make(net_.input(), ctx));
    convert_floats(frame.data, DType::f32, in.view().data, in.view().dtype, in.view().count());
    ZT_RETURN_IF_ERROR(in.finish(ctx));
    return net_.push([&](const TensorView& moments) { return show(moments, latent, ctx); }, ctx);
  }

  void end() override {
    net_.end();
    rows_ = {}, latent_ = {};
  }

 private:
  // The mean: first half of the channels, turned channel first.
  Status show(const TensorView& moments, const FrameSink& latent, const ExecContext& ctx) const {
    quant_->run(moments, rows_, ctx);
    ZT_ASSIGN_OR_RETURN(HostCopy mean, to_host(rows_, ctx));
    const int64_t pixels = rows_.shape()[0], channels = rows_.shape()[1];
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t p = 0; p < pixels; ++p) latent_.as<float>()[c * pixels + p] = mean.view.as<float>()[p * channels + c];
    }
    return latent(latent_);
  }

  VaeNetwork net_;
  std::unique_ptr<PackedLinear> quant_;  // f32, rows of the mean only
  Tensor rows_, latent_;                 // [h * w, z] and [z, h, w] f32
  int64_t factor_, height_ = 0, width_ = 0, h_ = 0, w_ = 0;
};

}  // namespace

Result<std::unique_ptr<VaeEncoder>> VaeEncoder::load(const VaeConfig& config, WeightStore& store, DType compute,
                                                     const ExecContext& ctx) {
  ZT_RETURN_IF_ERROR(check_vae_config(config));
  ZT_RETURN_IF_ERROR(claim_vae_weights(store, vae_encoder_tensors(config), vae_decoder_tensors(config)));
  const int64_t z = config.z_dim;
  ZT_ASSIGN_OR_RETURN(auto quant, load_pointwise("quant_conv", {.in = 2 * z, .out = z}, store, ctx));
  ZT_ASSIGN_OR_RETURN(VaeNetwork net, VaeNetwork::load(vae_encoder_layers(config), store, compute, ctx));
  return std::unique_ptr<VaeEncoder>(new Encoder(std::move(net), std::move(quant), config.spatial_factor()));
}

}  // namespace zt
