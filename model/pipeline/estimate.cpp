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

Result<MemoryEstimate> TextToVideo::estimate(const ClipShape& clip, int64_t text_rows, bool tiled, const ExecContext& ctx) const {
  ZT_ASSIGN_OR_RETURN(Shape latent, latent_shape(model_, clip));
  TextMemory text = text_memory(model_.text_config, text_rows, compute_);
  DitMemory dit = dit_memory(model_.transformer_config, latent, text_rows, compute_, ctx);
  VaeMemory vae = vae_decode_memory(model_.vae_config, latent[2], latent[3], compute_, ctx);
  const size_t base_weights = dit.weights;
  auto projection = has_projection();  // weights that cannot be read are for the first step to tell
  if (projection.ok() && *projection) dit.weights += projection_bytes(model_.transformer_config);
  size_t latents = size_t(latent.count()) * sizeof(float);

  MemoryEstimate e;
  // Parts that stay loaded together count in every phase that follows their own.
  // Of two transformers that share the steps the larger is loaded, or both.
  if (shares_steps() && keep_all()) dit.weights += base_weights;
  size_t kept_text = keep_all() ? text.weights : 0, kept_dit = keep_all() ? dit.weights : 0;
  e.weights = dit.weights;
  // x, velocity, the unguided velocity, x0, and up to three history tensors of the sampler.
  e.activations = dit.activations + 2 * dit.text_context + 7 * latents;
  e.text = text.weights + text.activations;
  e.denoise = kept_text + dit.weights + e.activations;
  // Merging is over before the activations come, and happens on the host.
  if (delta_ && !ctx.arena->memory()) e.denoise = std::max(e.denoise, kept_text + dit.weights + merge_bytes(model_.transformer_config, *delta_));
  // The caller's latents and their denormalised copy.
  size_t before = kept_text + kept_dit + 2 * latents;
  e.decode_working = vae.cache + vae.activations;
  e.decode = before + vae.total();
  if (tiled || e.decode > ctx.arena->budget()) {
    VaeMemory tiles = vae_tiled_memory(model_.vae_config, latent[2], latent[3], latent[1], compute_, ctx);
    if (tiled || tiles.total() < vae.total()) {
      e.tiled_decode = true;
      e.decode_working = tiles.cache + tiles.activations;
      e.decode = before + tiles.total();
    }
  }
  return e;
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
