#include "app/engine/job_estimate.h"

#include "app/engine/machine.h"
#include "app/engine/presets.h"
#include "app/engine/render_memory.h"
#include "model/policy/policy.h"

namespace zt {
namespace {

int64_t in_mb(size_t bytes) { return int64_t((bytes + (1 << 20) - 1) >> 20); }

Status fill(JobEstimate& out, const EstimateJob& ask, const JobPlaces& places, const ExecContext& ctx) {
  std::vector<std::string> notes;
  PreparedJob job;
  ZT_ASSIGN_OR_RETURN(job, settle_job(ask.spec, ctx.isa, notes));
  ZT_ASSIGN_OR_RETURN(std::string root, model_root(job.spec.model, places));
  ZT_ASSIGN_OR_RETURN(auto pipeline, TextToVideo::open(root, job.compute));
  const ModelFolder& model = pipeline->model();
  const TransformerConfig& t = model.transformer_config;
  ClipShape clip{job.spec.size.width, job.spec.size.height, job.spec.frames};
  ZT_ASSIGN_OR_RETURN(Shape latent, latent_shape(model, clip));
  Grid grid = token_grid(t, latent);
  out.tokens = grid.tokens(), out.layers = t.layers, out.heads = t.heads;
  size_t available = available_memory();
  ctx.arena->set_budget(available);
  ZT_ASSIGN_OR_RETURN(RenderMemory all,
                      render_memory(*pipeline, job, {job.spec.size, job.spec.frames}, model.max_text_tokens, false, {}, ctx));
  const MemoryEstimate& memory = all.model;
  out.weights_mb = in_mb(memory.weights), out.activations_mb = in_mb(memory.activations);
  out.decode_mb = in_mb(memory.decode_working), out.peak_mb = in_mb(all.peak()) + resident_mb();
  out.available_mb = in_mb(available) + resident_mb(), out.tiled_decode = memory.tiled_decode;
  ZT_ASSIGN_OR_RETURN(std::optional<Preset> preset, find_preset(job.spec.model, places));
  if (preset) out.warning = outside_training(*preset, job.spec);
  if (job.attention->needs() != PolicyNeeds::nothing) return ok_status();
  ZT_ASSIGN_OR_RETURN(PlanPtr plan, static_plan(*job.attention, grid, t.heads, ctx));
  out.density = plan->density();
  constexpr double kHardlyAny = 0.01;
  if (out.density < kHardlyAny)
    out.warning = fmt::format("{}: keeps {:.2g}% of the pairs at this size; expect noise, smaller blocks may help", job.spec.attn,
                              100 * out.density);
  return ok_status();
}

}  // namespace

JobEstimate estimate_job(const EstimateJob& ask, const JobPlaces& places, const ExecContext& ctx) {
  JobEstimate out;
  out.version = ask.version;
  if (Status s = fill(out, ask, places, ctx); !s.ok()) out.problem = s.message();
  return out;
}

ModelDescribed describe_model(const DescribeModel& ask, const JobPlaces& places) {
  ModelDescribed out;
  out.model = out.defaults.model = ask.model;
  auto root = model_root(ask.model, places);
  auto folder = root.ok() ? open_model_folder(*root) : Result<ModelFolder>(root.status());
  Status s = folder.ok() ? apply_preset(out.defaults, {}, places) : folder.status();
  out.problem = s.message();
  return out;
}

}  // namespace zt
