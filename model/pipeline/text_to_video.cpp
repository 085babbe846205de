#include "model/pipeline/text_to_video.h"

#include <chrono>
#include <cmath>
#include <cstring>

#include "kernels/api/ops.h"
#include "model/dit/block.h"
#include "model/io/weights.h"
#include "model/text/prompt.h"

namespace zt {
namespace {

Status cancelled(std::string_view what) { return {Code::kCancelled, fmt::format("cancelled while {}", what)}; }

// Index of the first value that is NaN or infinite, or -1.
int64_t first_not_finite(const TensorView& v) {
  const float* p = v.as<float>();
  for (int64_t i = 0; i < v.count(); ++i) {
    if (!std::isfinite(p[i])) return i;
  }
  return -1;
}

}  // namespace

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

bool TextToVideo::keep_all() const {
  constexpr size_t kSmall = size_t(512) << 20;
  size_t all = transformer_weight_bytes(model_.transformer_config, compute_) + text_memory(model_.text_config, 1, compute_).weights;
  return all <= kSmall;
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

Status TextToVideo::load_text(const ExecContext& ctx) {
  if (text_) return {};
  if (!keep_all()) release_transformer(), release_decoder();
  ZT_ASSIGN_OR_RETURN(WeightStore store, open_checked(model_.text_encoder));
  ZT_ASSIGN_OR_RETURN(text_, TextEncoder::load(model_.text_config, store, compute_, ctx));
  return {};
}

Status TextToVideo::load_transformer(const ExecContext& ctx) {
  if (transformer_) return {};
  if (!keep_all()) release_text(), release_decoder();
  ZT_ASSIGN_OR_RETURN(WeightStore store, open_checked(model_.transformer));
  ZT_ASSIGN_OR_RETURN(transformer_, Transformer::load(model_.transformer_config, store, compute_, ctx));
  return {};
}

Status TextToVideo::load_decoder(const ExecContext& ctx) {
  if (decoder_) return {};
  if (!keep_all()) release_text(), release_transformer();
  ZT_ASSIGN_OR_RETURN(WeightStore store, open_checked(model_.vae));
  ZT_ASSIGN_OR_RETURN(decoder_, VaeDecoder::load(model_.vae_config, store, compute_, ctx));
  return {};
}

void TextToVideo::release_text() { text_.reset(); }
void TextToVideo::release_transformer() { transformer_.reset(); }
void TextToVideo::release_decoder() { decoder_.reset(); }

Result<Tensor> TextToVideo::embed(const TokenIds& ids, const ExecContext& ctx) {
  ZT_RETURN_IF_ERROR(load_text(ctx));
  ProfileZone zone(ctx.profiler, "text");
  return text_->encode(ids.ids, ctx);
}

Result<Tensor> TextToVideo::denoise(const ClipShape& clip, const DenoiseRequest& r, const DenoiseHooks& hooks, const ExecContext& ctx) {
  ZT_ASSIGN_OR_RETURN(Shape shape, latent_shape(model_, clip));
  const SchedulerConfig& s = model_.scheduler;
  ZT_ASSIGN_OR_RETURN(Schedule schedule, make_schedule(r.sampler, r.steps, r.flow_shift.value_or(s.flow_shift), s.train_timesteps));
  if (!r.init_latents || r.sampler == SamplerKind::lcm) ZT_RETURN_IF_ERROR(Noise::check(r.rng, shape.count()));
  ZT_RETURN_IF_ERROR(load_transformer(ctx));
  ZT_RETURN_IF_ERROR(transformer_->prepare(shape, ctx));
  ZT_ASSIGN_OR_RETURN(auto sampler, Sampler::make(r.sampler, std::move(schedule), shape, ctx));
  bool guided = r.guidance > 1;
  ZT_ASSIGN_OR_RETURN(auto text, transformer_->encode_text(r.embeds, model_.max_text_tokens, ctx));
  std::unique_ptr<TextContext> negative;
  if (guided) {
    ZT_ASSIGN_OR_RETURN(negative, transformer_->encode_text(r.negative_embeds, model_.max_text_tokens, ctx));
  }

  ZT_ASSIGN_OR_RETURN(Tensor x, ctx.arena->make(DType::f32, shape));
  ZT_ASSIGN_OR_RETURN(Tensor velocity, ctx.arena->make(DType::f32, shape));
  ZT_ASSIGN_OR_RETURN(Tensor unguided, ctx.arena->make(DType::f32, guided ? shape : Shape{1}));
  ZT_ASSIGN_OR_RETURN(Tensor x0, ctx.arena->make(DType::f32, shape));
  Noise noise(r.rng, r.seed);
  if (r.init_latents) {
    if (r.init_latents.shape != shape) return invalid("initial latents are {}, this clip needs {}", r.init_latents.shape.str(), shape.str());
    std::memcpy(x.data(), r.init_latents.as<float>(), x.view().bytes());
  } else {
    noise.fill({x.as<float>(), size_t(shape.count())});
  }

  AttentionDriver attention(r.attention);
  attention.hooks = r.hooks;
  attention.records = hooks.records;
  for (int64_t i = 0; i < r.steps; ++i) {
    auto begin = std::chrono::steady_clock::now();
    Conditioning cond;
    cond.text = text.get(), cond.step = i, cond.steps = r.steps;
    cond.frame_timesteps = {sampler->schedule().timesteps[size_t(i)]};
    ZT_RETURN_IF_ERROR(transformer_->forward(x, cond, attention, velocity, ctx));
    if (guided) {
      cond.text = negative.get(), cond.branch = Branch::uncond;
      ZT_RETURN_IF_ERROR(transformer_->forward(x, cond, attention, unguided, ctx));
      double coef[] = {r.guidance, 1 - r.guidance};
      TensorView in[] = {velocity, unguided};
      affine_sum({coef, in, velocity}, ctx);
    }
    if (int64_t at = first_not_finite(velocity); at >= 0) {
      return failed("step {} of {}: the predicted velocity is not finite (element {}); the weights or the precision do not suit this "
                    "job, try --precision f32", i + 1, r.steps, at);
    }
    ZT_RETURN_IF_ERROR(sampler->step(i, x, velocity, noise, x0, ctx));
    if (hooks.on_step) {
      double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      ZT_RETURN_IF_ERROR(hooks.on_step({i + 1, r.steps, sampler->schedule().sigmas[size_t(i)], seconds, x, x0}));
    }
    if (ctx.cancelled()) return cancelled("denoising");
  }
  transformer_->release();
  return x;
}

Status TextToVideo::decode(const TensorView& latents, bool tiled, const FrameSink& sink, const ExecContext& ctx) {
  ZT_CHECK(latents.rank() == 4 && latents.dense());
  const VaeConfig& c = model_.vae_config;
  if (latents.dim(0) != c.z_dim) return invalid("latents are {}, the decoder takes [{}, T, H, W]", latents.shape.str(), c.z_dim);
  ZT_RETURN_IF_ERROR(load_decoder(ctx));
  ZT_ASSIGN_OR_RETURN(Tensor z, ctx.arena->make(DType::f32, latents.shape));
  std::memcpy(z.data(), latents.as<float>(), z.view().bytes());
  denormalise_latents(c, z);
  if (tiled) return decode_tiled(*decoder_, c, z, sink, ctx);
  ZT_RETURN_IF_ERROR(decoder_->begin(latents.dim(2), latents.dim(3), ctx));
  Status status;
  for (int64_t t = 0; t < latents.dim(1) && status.ok(); ++t) status = decoder_->push(z.view().select(1, t), sink, ctx);
  decoder_->end();
  return status;
}

Result<Tensor> TextToVideo::encode(const ClipShape& clip, const std::function<Result<TensorView>()>& next, const ExecContext& ctx) {
  ZT_ASSIGN_OR_RETURN(Shape shape, latent_shape(model_, clip));
  ZT_ASSIGN_OR_RETURN(WeightStore store, open_checked(model_.vae));
  ZT_ASSIGN_OR_RETURN(auto encoder, VaeEncoder::load(model_.vae_config, store, compute_, ctx));
  ZT_ASSIGN_OR_RETURN(Tensor latents, ctx.arena->make(DType::f32, shape));
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
