#include "model/pipeline/text_to_video.h"

#include <cstring>

#include "kernels/api/transfer.h"
#include "model/dit/block.h"
#include "model/io/weights.h"
#include "model/text/prompt.h"

namespace zt {
int64_t snap_frames(const ModelFolder& model, int64_t frames) {
  int64_t f = model.vae_config.temporal_factor();
  return std::max<int64_t>(0, frames - 1) / f * f + 1;
}

Result<Shape> latent_shape(const ModelFolder& model, const ClipShape& clip) {
  const auto& t = model.transformer_config;
  int64_t space = model.vae_config.spatial_factor(), unit_h = space * t.patch_h, unit_w = space * t.patch_w;
  if (clip.width < unit_w || clip.height < unit_h || clip.width % unit_w || clip.height % unit_h) {
    return invalid("size {}x{}: width must be a positive multiple of {} and height of {}", clip.width, clip.height, unit_w, unit_h);
  }
  // A latent axis beyond this has no meaning for the model and would overflow sizes further down.
  constexpr int64_t kMaxSide = 16384, kMaxFrames = 100000;
  if (clip.width > kMaxSide || clip.height > kMaxSide) return invalid("size {}x{}: sides are limited to {}", clip.width, clip.height, kMaxSide);
  if (clip.frames < 1 || clip.frames > kMaxFrames || snap_frames(model, clip.frames) != clip.frames) {
    return invalid("{} frames: must be {} n + 1, between 1 and {}", clip.frames, model.vae_config.temporal_factor(), kMaxFrames);
  }
  return Shape{t.in_channels, (clip.frames - 1) / model.vae_config.temporal_factor() + 1, clip.height / space, clip.width / space};
}

Result<std::unique_ptr<TextToVideo>> TextToVideo::open(const std::string& root, DType compute) {
  ZT_CHECK(compute == DType::f32 || compute == DType::bf16);
  std::unique_ptr<TextToVideo> p(new TextToVideo());
  ZT_ASSIGN_OR_RETURN(p->model_, open_model_folder(root));
  p->compute_ = compute;
  p->placement_.together = p->small();
  if (const auto& v = p->model_.variant) {
    ZT_ASSIGN_OR_RETURN(p->delta_, LowRank::open(v->delta, v->rank, v->alpha));
  }
  ZT_ASSIGN_OR_RETURN(p->tokenizer_, Tokenizer::open(p->model_.tokenizer));
  if (p->tokenizer_->vocab_size() > p->model_.text_config.vocab) {
    return bad_model("{}: the tokenizer has {} pieces, the text encoder's table only {} rows", p->model_.tokenizer,
                     p->tokenizer_->vocab_size(), p->model_.text_config.vocab);
  }
  return p;
}

Result<TokenIds> TextToVideo::tokenize(std::string_view prompt) const {
  ZT_ASSIGN_OR_RETURN(std::string clean, clean_prompt(prompt));
  return tokenizer_->encode(clean, model_.max_text_tokens);
}

bool TextToVideo::small() const {
  constexpr size_t kSmall = size_t(512) << 20;
  size_t all = transformer_bytes(model_.transformer_config, compute_, false).resident() +
               text_memory(model_.text_config, 1, compute_).weights.resident();
  return all <= kSmall;
}

void TextToVideo::place(const Placement& placement) {
  if (placement_ == placement) return;
  placement_ = placement;
  release_text(), release_transformer(), release_decoder();
}

Status TextToVideo::check_values(const std::string& path, const WeightStore& store) {
  if (finite_.count(path)) return {};
  ZT_RETURN_IF_ERROR(store.check_finite());
  finite_.insert(path);
  return {};
}

Result<WeightStore> TextToVideo::open_checked(const std::string& path) {
  ZT_ASSIGN_OR_RETURN(WeightStore store, WeightStore::open(path));
  ZT_RETURN_IF_ERROR(check_values(path, store));
  return store;
}

Result<WeightStore> TextToVideo::open_transformer(int threads, bool base) const {
  ZT_ASSIGN_OR_RETURN(WeightStore store, WeightStore::open(model_.transformer));
  store.rename_original_transformer();
  if (delta_ && !base) ZT_RETURN_IF_ERROR(store.overlay(delta_, threads));
  return store;
}

Status TextToVideo::check_transformer_values(const WeightStore& store, bool base) {
  ZT_RETURN_IF_ERROR(check_values(model_.transformer, store));
  return delta_ && !base ? check_values(delta_->file().where(), delta_->file()) : ok_status();
}

Status TextToVideo::load_text(const ExecContext& ctx) {
  if (text_) return {};
  if (!keep_all()) release_transformer(), release_decoder();
  ZT_ASSIGN_OR_RETURN(WeightStore store, open_checked(model_.text_encoder));
  ZT_ASSIGN_OR_RETURN(text_, TextEncoder::load(model_.text_config, store, compute_, ctx, placement_.text_streamed));
  return {};
}

Status TextToVideo::load_transformer(const ExecContext& ctx) { return transformer_for(false, ctx).status(); }

Result<Transformer*> TextToVideo::transformer_for(bool base, const ExecContext& ctx) {
  std::unique_ptr<Transformer>& kept = base ? base_transformer_ : transformer_;
  if (kept) return kept.get();
  if (!keep_all()) release_text(), release_decoder(), release_transformer();
  ZT_ASSIGN_OR_RETURN(WeightStore store, open_transformer(ctx.threads, base));
  ZT_RETURN_IF_ERROR(check_transformer_values(store, base));
  if (delta_ && !base && ctx.warn) ctx.warn(fmt::format("variant {}: {}, every key of the delta used", model_.variant->name, delta_->summary()));
  ZT_ASSIGN_OR_RETURN(kept, Transformer::load(model_.transformer_config, store, compute_, ctx, placement_.transformer_streamed));
  return kept.get();
}

Status TextToVideo::load_decoder(const ExecContext& ctx) {
  if (decoder_) return {};
  if (!keep_all()) release_text(), release_transformer();
  ZT_ASSIGN_OR_RETURN(WeightStore store, open_checked(model_.vae));
  ZT_ASSIGN_OR_RETURN(decoder_, VaeDecoder::load(model_.vae_config, store, compute_, ctx));
  return {};
}

void TextToVideo::release_text() { text_.reset(); }
void TextToVideo::release_transformer() { transformer_.reset(), base_transformer_.reset(); }
void TextToVideo::release_decoder() { decoder_.reset(); }

Result<Tensor> TextToVideo::embed(const TokenIds& ids, const ExecContext& ctx) {
  ZT_RETURN_IF_ERROR(load_text(ctx));
  ProfileZone zone(ctx.profiler, "text");
  ZT_ASSIGN_OR_RETURN(Tensor made, text_->encode(ids.ids, ctx));
  if (!ctx.arena->memory()) return made;
  ZT_ASSIGN_OR_RETURN(HostCopy copy, to_host(made, ctx));
  return std::move(copy.memory);
}

Status TextToVideo::decode(const TensorView& latents, bool tiled, const FrameSink& sink, const ExecContext& ctx) {
  ZT_CHECK(latents.rank() == 4 && latents.dense());
  const VaeConfig& c = model_.vae_config;
  if (latents.dim(0) != c.z_dim) return invalid("latents are {}, the decoder takes [{}, T, H, W]", latents.shape.str(), c.z_dim);
  ZT_RETURN_IF_ERROR(load_decoder(ctx));
  ZT_ASSIGN_OR_RETURN(Tensor z, host_arena(ctx).make(DType::f32, latents.shape));
  std::memcpy(z.data(), latents.as<float>(), z.view().bytes());
  denormalise_latents(c, z);
  if (tiled) return decode_tiled(*decoder_, c, z, sink, ctx);
  ZT_RETURN_IF_ERROR(decoder_->begin(latents.dim(2), latents.dim(3), ctx));
  Status status;
  for (int64_t t = 0; t < latents.dim(1) && status.ok(); ++t) status = decoder_->push(z.view().select(1, t), sink, ctx);
  if (status.ok()) status = decoder_->finish(sink, ctx);
  decoder_->end();
  return status;
}

Result<Tensor> TextToVideo::encode(const ClipShape& clip, const std::function<Result<TensorView>()>& next, const ExecContext& ctx) {
  ZT_ASSIGN_OR_RETURN(Shape shape, latent_shape(model_, clip));
  ZT_ASSIGN_OR_RETURN(WeightStore store, open_checked(model_.vae));
  ZT_ASSIGN_OR_RETURN(auto encoder, VaeEncoder::load(model_.vae_config, store, compute_, ctx));
  ZT_ASSIGN_OR_RETURN(Tensor latents, host_arena(ctx).make(DType::f32, shape));
  ZT_RETURN_IF_ERROR(encoder->begin(clip.height, clip.width, ctx));
  int64_t done = 0;
  FrameSink keep = [&](const TensorView& z) -> Status {
    TensorView to = latents.view().select(1, done++);
    for (int64_t c = 0; c < shape[0]; ++c) {
      std::memcpy(to.as<float>() + c * to.stride(0), z.as<float>() + c * z.stride(0), size_t(shape[2] * shape[3]) * sizeof(float));
    }
    return {};
  };
  for (int64_t f = 0; f < clip.frames; ++f) {
    ZT_ASSIGN_OR_RETURN(TensorView frame, next());
    if (!frame) return invalid("the clip ends after {} frames, {} were asked for", f, clip.frames);
    ZT_RETURN_IF_ERROR(encoder->push(frame, keep, ctx));
  }
  encoder->end();
  ZT_CHECK(done == shape[1]);
  normalise_latents(model_.vae_config, latents);
  return latents;
}

}  // namespace zt
