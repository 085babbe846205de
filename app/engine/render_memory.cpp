#include "app/engine/render_memory.h"

#include "app/engine/clip_output.h"
#include "app/engine/model_host.h"
#include "model/dit/recall.h"
#include "model/policy/policy.h"

namespace zt {
namespace {

// Largest n in [1, most] that holds, when smaller ones hold wherever larger ones do; 0 when none does.
int64_t largest(int64_t most, const std::function<bool(int64_t)>& holds) {
  int64_t good = 0, bad = most + 1;
  while (bad - good > 1) {
    int64_t middle = (good + bad) / 2;
    (holds(middle) ? good : bad) = middle;
  }
  return good;
}

}  // namespace

std::string RenderMemory::breakdown() const {
  return fmt::format("text {}, denoising {}, decoding {}{}", mib(model.text), mib(model.denoise), mib(decode),
                     model.tiled_decode ? " in tiles" : "");
}

bool measured(const PreparedJob& job) {
  return !job.spec.report.empty() || job.spec.min_recall > 0 || job.attention->chooses();
}

Result<RenderMemory> render_memory(const TextToVideo& pipeline, const PreparedJob& job, const RenderSize& at, int64_t text_rows,
                                   bool method, std::span<AttentionHook* const> hooks, const ExecContext& ctx) {
  ClipShape clip{at.size.width, at.size.height, at.frames};
  ZT_ASSIGN_OR_RETURN(Shape latent, latent_shape(pipeline.model(), clip));
  const TransformerConfig& t = pipeline.model().transformer_config;
  PolicyJob all{token_grid(t, latent), t.layers, t.heads, t.head_dim,
                job.spec.cfg_scale > 1 ? 2 : 1, job.compute};
  size_t beside = measured(job) ? RecallMeter().bytes(all, ctx) : 0;
  if (method) {
    ZT_ASSIGN_OR_RETURN(all.projection, pipeline.has_projection());
    ZT_ASSIGN_OR_RETURN(size_t own, job.attention->bytes(all, ctx));
    for (const AttentionHook* hook : hooks) own += hook->bytes(all, ctx);
    beside += own;
  }
  RenderMemory m;
  ZT_ASSIGN_OR_RETURN(m.model, pipeline.estimate(clip, text_rows, job.spec.vae_tiling == "on", ctx, beside));
  JobSpec spec = job.spec;
  spec.size = at.size, spec.frames = at.frames;
  m.decode = m.model.decode + (ctx.arena->memory() ? 0 : clip_output_bytes(spec));  // the encoder works in host memory
  return m;
}

std::string largest_that_fits(const TextToVideo& pipeline, const JobSpec& spec, const std::function<bool(const RenderSize&)>& fits) {
  const ModelFolder& model = pipeline.model();
  int64_t unit_h = model.vae_config.spatial_factor() * model.transformer_config.patch_h;
  int64_t unit_w = model.vae_config.spatial_factor() * model.transformer_config.patch_w, step = model.vae_config.temporal_factor();
  int64_t rows = spec.size.height / unit_h, columns = spec.size.width / unit_w;
  auto sized = [&](int64_t n) {  // n rows of the model's units, the columns in proportion
    return Size{std::max<int64_t>(1, columns * n / rows) * unit_w, n * unit_h};
  };
  int64_t n = largest(rows - 1, [&](int64_t i) { return fits({sized(i), spec.frames}); });
  int64_t groups = largest((spec.frames - 1) / step, [&](int64_t i) { return fits({spec.size, (i - 1) * step + 1}); });
  std::string text;
  if (n > 0) text = fmt::format("{}x{} with {} frames fits", sized(n).width, sized(n).height, spec.frames);
  if (groups > 0) {
    int64_t frames = (groups - 1) * step + 1;
    text += fmt::format("{}{}x{} with {} frame{}{}", n > 0 ? ", or " : "", spec.size.width, spec.size.height, frames,
                        frames == 1 ? "" : "s", n > 0 ? "" : " fits");
  }
  return text.empty() ? "no smaller size of this shape fits with as many frames, nor this size with fewer" : text;
}

}  // namespace zt
