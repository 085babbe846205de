// The estimates: the same plan, parts and layers that loading and running walk, counted as the arena counts.
#include <algorithm>

#include "model/vae/leaving_frames.h"
#include "model/vae/network.h"
#include "model/vae/vae.h"

namespace zt {
namespace {

size_t floats(int64_t count) { return Arena::block_bytes(size_t(count) * 4); }

VaeMemory network_memory(const std::vector<VaeLayer>& layers, int64_t h, int64_t w, DType compute, const ExecContext& ctx) {
  const ClipPlan plan = plan_clip(layers, h, w, compute);
  VaeMemory m;
  size_t workspace = 0;
  for (size_t i = 0; i < layers.size(); ++i) {
    for (const GammaPart& p : gamma_parts(layers[i])) m.weights += floats(p.channels);
    for (const AttentionLinear& p : linear_parts(layers[i], compute)) m.weights += Arena::block_bytes(packed_linear_bytes(p.desc));
    for (const ConvPart& p : conv_parts(layers[i], compute)) {
      const ConvBytes bytes = conv_bytes(p.desc, plan.layers[i].h / p.shrink, plan.layers[i].w / p.shrink, ctx);
      m.weights += bytes.weights;
      workspace = std::max(workspace, bytes.workspace);
    }
    if (layers[i].kind == VaeLayerKind::attention) {
      const auto dense = AttentionPlan::dense(plan.attention, plan.attention);
      workspace = std::max(workspace, attention_workspace(*dense, layers[i].in, compute, ctx));
    }
  }
  m.cache = plan.cache_bytes();
  m.activations = plan.pool_bytes() - m.cache + 2 * Arena::block_bytes(plan.slot) + Arena::block_bytes(workspace);
  return m;
}

}  // namespace

VaeMemory vae_decode_memory(const VaeConfig& config, int64_t latent_h, int64_t latent_w, DType compute, const ExecContext& ctx) {
  VaeMemory m = network_memory(vae_decoder_layers(config), latent_h, latent_w, compute, ctx);
  m.weights += Arena::block_bytes(packed_linear_bytes({.in = config.z_dim, .out = config.z_dim}));
  m.activations += floats(latent_h * latent_w * config.z_dim);
  const int64_t scale = config.spatial_factor();
  m.activations += LeavingFrames::bytes({latent_h * latent_w * scale * scale, 3}, ctx);
  return m;
}

VaeMemory vae_encode_memory(const VaeConfig& config, int64_t latent_h, int64_t latent_w, DType compute, const ExecContext& ctx) {
  const int64_t scale = config.spatial_factor();
  VaeMemory m = network_memory(vae_encoder_layers(config), latent_h * scale, latent_w * scale, compute, ctx);
  m.weights += Arena::block_bytes(packed_linear_bytes({.in = 2 * config.z_dim, .out = config.z_dim}));
  m.activations += 2 * floats(latent_h * latent_w * config.z_dim);
  return m;
}

}  // namespace zt
