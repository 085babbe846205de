#include "model/dit/block.h"
#include "model/io/weights.h"
#include "model/pipeline/text_to_video.h"

namespace zt {
namespace {

// What loading holds beside the packed weights while a delta is merged: the matrices of one fused product and the factors of the
// last of them.
size_t merge_bytes(const TransformerConfig& c, const LowRank& delta) {
  const int64_t d = c.dim(), wide = std::max(d, c.ffn_dim), matrices = std::max(3 * d * d, d * c.ffn_dim);
  return size_t(matrices) * sizeof(float) + LowRank::working_bytes(wide, wide, delta.rank());
}

}  // namespace

Result<MemoryEstimate> TextToVideo::estimate(const ClipShape& clip, int64_t text_rows, bool tiled, const ExecContext& ctx, size_t beside) const {
  ZT_ASSIGN_OR_RETURN(Shape latent, latent_shape(model_, clip));
  auto projection = has_projection();  // weights that cannot be read are for the first step to tell
  const bool projected = projection.ok() && *projection, on_device = ctx.arena->memory();
  TextMemory text = text_memory(model_.text_config, text_rows, compute_);
  DitMemory dit = dit_memory(model_.transformer_config, latent, text_rows, compute_, projected, ctx);
  VaeMemory vae = vae_decode_memory(model_.vae_config, latent[2], latent[3], compute_, ctx);
  size_t latents = size_t(latent.count()) * sizeof(float), budget = ctx.arena->budget();

  MemoryEstimate e;
  // Of two transformers that share the steps one is loaded at a time, of a small model both.
  const size_t base = shares_steps() ? transformer_bytes(model_.transformer_config, compute_, false).resident() : 0;
  e.weights = dit.weights.resident() + (small() ? base : 0), e.text_weights = text.weights, e.transformer_weights = dit.weights;
  // Up to three history tensors of the sampler; then, when the prompts are through, x, velocity, the unguided velocity and x0.
  // The second of two transformers reads the prompts beside those.
  const size_t prompts = dit.text_working, state = 4 * latents;
  e.activations = dit.activations + 2 * dit.text_context + 3 * latents + (shares_steps() ? prompts + state : std::max(prompts, state));
  e.decode_working = vae.cache + vae.activations;
  size_t before_decode = 0;
  auto place = [&](const Placement& p) {
    auto bytes = [](const ChainBytes& b, bool streamed) { return streamed ? b.streamed() : b.resident(); };
    const size_t text_weights = bytes(text.weights, p.text_streamed), dit_weights = bytes(dit.weights, p.transformer_streamed) + (p.together ? base : 0);
    // Parts that stay loaded together count in every phase that follows their own.
    const size_t kept_text = p.together ? text_weights : 0, kept_dit = p.together ? dit_weights : 0;
    e.placement = p;
    e.text = text_weights + text.activations;
    e.denoise = kept_text + dit_weights + e.activations;
    // Merging is over before the activations come, and happens on the host.
    if (delta_ && !on_device) e.denoise = std::max(e.denoise, kept_text + dit_weights + merge_bytes(model_.transformer_config, *delta_));
    e.denoise += beside;
    // The caller's latents and their denormalised copy.
    before_decode = kept_text + kept_dit + 2 * latents;
    e.decode = before_decode + vae.total();
  };
  place({.together = small()});
  if (on_device && e.peak() > budget) {
    place({});
    // A part of one or two blocks gains nothing.
    auto stream = [&](size_t phase, const ChainBytes& b) { return phase > budget && b.streamed() < b.resident(); };
    place({.text_streamed = stream(e.text, text.weights), .transformer_streamed = stream(e.denoise, dit.weights)});
  }
  if (tiled || e.decode > budget) {
    VaeMemory tiles = vae_tiled_memory(model_.vae_config, latent[2], latent[3], latent[1], compute_, ctx);
    if (tiled || tiles.total() < vae.total()) {
      e.tiled_decode = true;
      e.decode_working = tiles.cache + tiles.activations;
      e.decode = before_decode + tiles.total();
    }
  }
  return e;
}

size_t MemoryEstimate::host() const {  // one part at a time
  return std::max(placement.text_streamed ? text_weights.streamed_host() : 0, placement.transformer_streamed ? transformer_weights.streamed_host() : 0);
}

Result<bool> TextToVideo::has_projection() const {
  if (!projection_) {
    ZT_ASSIGN_OR_RETURN(WeightStore store, open_transformer(1));
    projection_ = zt::has_projection(model_.transformer_config, store);
  }
  return *projection_;
}

Status TextToVideo::verify(size_t value_bytes) {
  auto vae = [&](WeightStore& s) { return check_vae_weights(model_.vae_config, s); };
  auto text = [&](WeightStore& s) { return check_text_weights(model_.text_config, s); };
  auto part = [&](const std::string& path, auto&& check) -> Status {
    ZT_ASSIGN_OR_RETURN(WeightStore store, WeightStore::open(path));
    ZT_RETURN_IF_ERROR(check(store));
    return store.bytes() <= value_bytes ? check_values(path, store) : ok_status();
  };
  {
    ZT_ASSIGN_OR_RETURN(WeightStore store, open_transformer(1));
    ZT_RETURN_IF_ERROR(check_transformer_weights(model_.transformer_config, store));
    if (store.bytes() <= value_bytes) ZT_RETURN_IF_ERROR(check_transformer_values(store));
  }
  ZT_RETURN_IF_ERROR(part(model_.vae, vae));
  return part(model_.text_encoder, text);
}

}  // namespace zt
