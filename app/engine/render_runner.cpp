#include <fstream>

#include "app/engine/checkpoint.h"
#include "app/engine/clip_output.h"
#include "app/engine/explain.h"
#include "app/engine/presets.h"
#include "app/engine/render_memory.h"
#include "app/engine/report.h"
#include "app/engine/stage_runner.h"
#include "app/engine/time_estimate.h"
#include "app/engine/watch.h"
#include "app/session/job_text.h"
#include "model/dit/recall.h"
#include "model/policy/policy.h"

namespace zt {
namespace {

struct Plan {
  PreparedJob job;
  TextToVideo* pipeline = nullptr;
  Shape latent;
  TokenIds prompt, negative;  // unused where embeddings are given
  bool guided = false;
  MemoryEstimate memory;
};

ClipShape clip_shape(const JobSpec& s) { return {s.size.width, s.size.height, s.frames}; }

// The sampling that the settings ask for.
DenoiseRequest sampling_request(const PreparedJob& job) {
  const JobSpec& s = job.spec;
  DenoiseRequest r;
  r.steps = s.steps, r.guidance = s.cfg_scale, r.sampler = job.sampler, r.rng = job.rng, r.seed = uint64_t(s.seed);
  r.sigmas = s.sigmas, r.attention = job.attention;
  if (s.flow_shift > 0) r.flow_shift = s.flow_shift;
  return r;
}

// Parts up to this size have their values looked at before the first step; larger ones when they are loaded, which for
// the transformer and the text encoder is before the first step, too.
constexpr size_t kVerifiedAhead = size_t(1) << 30;

// Everything up to the first weight: the model is opened and checked, prompts are cut to tokens, memory is estimated and
// admitted.
Status plan_render(ModelHost& host, Plan& p, std::span<AttentionHook* const> hooks, const JobControl& control, JobResult& result) {
  const JobSpec& s = p.job.spec;
  ZT_ASSIGN_OR_RETURN(p.pipeline, host.open(p.job));
  const ModelFolder& model = p.pipeline->model();
  ZT_ASSIGN_OR_RETURN(p.latent, latent_shape(model, clip_shape(s)));
  ZT_ASSIGN_OR_RETURN(std::optional<Preset> preset, find_preset(s.model, host.places()));
  std::string warning = preset ? outside_training(*preset, s) : "";
  if (!warning.empty()) control.note(warning);
  ZT_RETURN_IF_ERROR(schedule_of(model, sampling_request(p.job)).status());
  if (s.init_latents.empty() || p.job.sampler == SamplerKind::lcm) ZT_RETURN_IF_ERROR(Noise::check(p.job.rng, p.latent.count()));
  p.guided = s.cfg_scale > 1;
  auto cut = [&](const TokenIds& ids, const char* field) {
    if (ids.truncated)
      control.note(fmt::format("{}: longer than the model reads, cut to its first {} tokens", field, model.max_text_tokens));
  };
  int64_t rows = model.max_text_tokens;
  if (s.text_embeds.empty() && s.negative_embeds.empty()) {
    ZT_ASSIGN_OR_RETURN(p.prompt, p.pipeline->tokenize(s.prompt));
    cut(p.prompt, "prompt");
    rows = int64_t(p.prompt.ids.size());
    if (p.guided) {
      ZT_ASSIGN_OR_RETURN(p.negative, p.pipeline->tokenize(s.negative_prompt));
      cut(p.negative, "negative_prompt");
      rows = std::max(rows, int64_t(p.negative.ids.size()));
    }
  } else {
    ZT_ASSIGN_OR_RETURN(p.prompt, p.pipeline->tokenize(s.prompt));
    ZT_ASSIGN_OR_RETURN(p.negative, p.pipeline->tokenize(s.negative_prompt));
  }
  host.set_budget(p.job, clip_output_bytes(s));
  const ExecContext& ctx = host.ctx();
  RenderSize size{s.size, s.frames};
  ZT_ASSIGN_OR_RETURN(RenderMemory memory, render_memory(*p.pipeline, p.job, size, rows, false, hooks, ctx));
  bool short_of_memory = memory.peak() > ctx.arena->budget() || (memory.model.tiled_decode && s.vae_tiling != "on");
  if (short_of_memory && control.settle) {  // not because of what another job is about to give back
    control.settle();
    host.set_budget(p.job, clip_output_bytes(s));
    ZT_ASSIGN_OR_RETURN(memory, render_memory(*p.pipeline, p.job, size, rows, false, hooks, ctx));
  }
  // A plan is made only where the rest fits: at sizes beyond every machine it would take minutes.
  if (memory.peak() <= ctx.arena->budget()) {
    ZT_ASSIGN_OR_RETURN(memory, render_memory(*p.pipeline, p.job, size, rows, true, hooks, ctx));
  }
  p.memory = memory.model, result.tiled_decode = p.memory.tiled_decode;
  auto instead = [&](const std::function<bool(size_t)>& fits) {
    return largest_that_fits(*p.pipeline, s, [&](const RenderSize& at) {
      auto m = render_memory(*p.pipeline, p.job, at, rows, false, hooks, ctx);
      return m.ok() && fits(m->peak());
    });
  };
  ZT_RETURN_IF_ERROR(host.admit(memory.peak(), memory.breakdown(), p.job, control, result, instead));
  ZT_RETURN_IF_ERROR(host.place(p.memory, control, result));
  host.set_budget(p.job, 0);  // sampling runs before the encoder has taken its part; decoding is admitted with it
  if (p.memory.tiled_decode && s.vae_tiling != "on") {
    control.note("decoding in tiles, because the exact decode does not fit: seams are blended, pixels differ a little");
  }
  return p.pipeline->verify(kVerifiedAhead);
}

// [n, text_dim] of a stored embedding, checked against the model.
Result<Tensor> stored_embeds(std::string_view field, const std::string& path, const ModelFolder& model, const ExecContext& ctx) {
  ZT_ASSIGN_OR_RETURN(Tensor all, read_tensor(field, path, "prompt_embeds", 2, ctx));
  if (all.shape()[1] != model.transformer_config.text_dim) {
    return invalid("{}: rows of {} values, the model reads {}", field, all.shape()[1], model.transformer_config.text_dim);
  }
  if (real_rows(all).dim(0) > model.max_text_tokens)
    return invalid("{}: {} rows, the model reads {}", field, real_rows(all).dim(0), model.max_text_tokens);
  return all;
}

class RenderRunner final : public StageRunner {
 public:
  RenderRunner(std::shared_ptr<ModelHost> host, RenderOptions options) : StageRunner(std::move(host)), options_(std::move(options)) {}

 private:
  // What outlives the sampling. The checkpoint goes when the clip has its name, and else says what it is good for.
  struct Kept {
    std::unique_ptr<ClipOutput> output;
    std::optional<JobCheckpoint> checkpoint;
    Status close(Status s) {
      if (!checkpoint) return s;
      if (s.ok()) checkpoint->remove();
      std::string hint = s.ok() ? "" : checkpoint->hint();
      return hint.empty() ? s : Status(s.code(), s.message() + "; " + hint);
    }
  };

  Status stage(const JobSpec& spec, const JobControl& control, JobClock& clock, JobResult& result, Ending& ending) override {
    auto kept = std::make_shared<Kept>();
    Status s = render(spec, control, clock, result, *kept);
    if (!s.ok()) return kept->close(s);
    ending = [kept, &files = result.files] { return kept->close(kept->output->commit(files)); };
    return s;
  }

  // All but giving the clip its name.
  Status render(const JobSpec& spec, const JobControl& control, JobClock& clock, JobResult& result, Kept& kept) {
    std::unique_ptr<ClipOutput>& output = kept.output;
    std::optional<JobCheckpoint>& checkpoint = kept.checkpoint;
    Plan p;
    ZT_ASSIGN_OR_RETURN(p.job, host().begin(spec, JobKind::render, control));
    const JobSpec& s = result.spec = p.job.spec;
    result.settings_hash = settings_hash(s);
    // Outputs first: a place that cannot be written is known before any work.
    ZT_ASSIGN_OR_RETURN(output, ClipOutput::open(p.job));
    ZT_ASSIGN_OR_RETURN(checkpoint, JobCheckpoint::open(p.job, control.note));
    clock.enter(JobState::loading);
    ZT_RETURN_IF_ERROR(plan_render(host(), p, options_.hooks, control, result));
    const ExecContext& ctx = host().ctx();
    const ModelFolder& model = p.pipeline->model();
    std::unique_ptr<TensorFile> saved;
    if (!s.save_latents.empty()) {
      std::vector<int64_t> shape = {p.latent[0], p.latent[1], p.latent[2], p.latent[3]};
      std::string settings = s.no_metadata ? "" : settings_document(s, host().places().version).dump();
      ZT_ASSIGN_OR_RETURN(saved, TensorFile::open(s.save_latents, p.job.replace, "latents", DType::f32, shape, settings, p.job.faults));
    }
    std::optional<PendingFile> report;
    if (!s.report.empty()) {
      ZT_ASSIGN_OR_RETURN(PendingFile file, PendingFile::create(s.report, p.job.replace, false, p.job.faults));
      report = std::move(file);
    }
    if (options_.explain) {
      auto gpu = host().machine().gpu();
      control.note(fmt::format("explain: device: {}{}", s.device, s.device == "cpu" && !gpu.ok() ? ", " + gpu.status().message() : ""));
      for (std::string& line : explain_choices(model, p.latent, p.job.compute, ctx)) control.note("explain: " + line);
    }

    DenoiseRequest request = sampling_request(p.job);
    Tensor init, embeds, negative;
    if (!s.init_latents.empty()) {
      ZT_ASSIGN_OR_RETURN(init, read_tensor("init_latents", s.init_latents, "latents", 4, ctx));
      if (init.shape() != p.latent) return invalid("init_latents: {}, this clip needs {}", init.shape().str(), p.latent.str());
      request.init_latents = init;
    }

    clock.enter(JobState::encoding);
    bool sampled = checkpoint->sampled(p.latent);
    if (sampled) p.guided = false;
    ZT_ASSIGN_OR_RETURN(embeds, sampled                 ? Result<Tensor>(Tensor())
                                : s.text_embeds.empty() ? host().embed(p.prompt)
                                                      : stored_embeds("text_embeds", s.text_embeds, model, ctx));
    if (!sampled) request.embeds = real_rows_if(embeds, !s.text_embeds.empty());
    if (p.guided) {
      ZT_ASSIGN_OR_RETURN(negative, s.negative_embeds.empty() ? host().embed(p.negative)
                                                              : stored_embeds("negative_embeds", s.negative_embeds, model, ctx));
      request.negative_embeds = real_rows_if(negative, !s.negative_embeds.empty());
    }

    // The weights are read as part of loading, so that a step's time is a step's time.
    clock.enter(JobState::loading);
    if (control.preview) preview_.prepare(*p.pipeline, ctx);
    if (!sampled) ZT_RETURN_IF_ERROR(p.pipeline->load_transformer(ctx));
    clock.enter(JobState::denoising, s.steps);
    ReportLog log = log_so_far(s, checkpoint, control);
    std::vector<AttentionRecord>& records = log.records;
    request.hooks = options_.hooks;
    RecallMeter meter;
    if (measured(p.job) || control.attention) request.hooks.push_back(&meter);
    std::optional<PlanWatch> watch;
    if (control.attention_map) request.hooks.push_back(&watch.emplace(control.attention_map, control.measured_head));
    DenoiseHooks hooks;
    hooks.records = &records;
    request.resume = checkpoint->found();
    hooks.save_every = s.checkpoint_every;
    double measured_before = log.measuring_s;
    hooks.save = [&](const DenoiseState& state) {
      log.measuring_s = measured_before + meter.seconds();
      checkpoint->save(state, s.report.empty() ? "" : pack(log, state.step));
    };
    size_t seen = records.size();
    hooks.on_step = [&](const StepInfo& info) {
      if (info.step == 1 && seen > 0) {  // the checkpoint did not fit after all
        records.erase(records.begin(), records.begin() + ptrdiff_t(seen));
        log.step_s.clear(), seen = 0, measured_before = 0;
      }
      auto step = std::span<const AttentionRecord>(records).subspan(seen);
      seen = records.size();
      log.step_s.push_back(info.seconds);
      if (control.attention && !step.empty())
        control.attention(attention_table(step, info, model.transformer_config, measured(p.job)));
      if (control.preview) {
        if (Clip clip = preview_.make(*p.pipeline, info, s.fps, ctx)) control.preview({info.step, std::move(clip)});
      }
      clock.step(info.step, figures_of(step).density);
      return s.min_recall > 0 && !p.job.attention->chooses() ? check_recall(step, s.min_recall, info.steps) : ok_status();
    };
    ZT_ASSIGN_OR_RETURN(Tensor latents, p.pipeline->denoise(clip_shape(s), request, hooks, ctx));
    embeds = Tensor(), negative = Tensor(), init = Tensor();
    if (saved) {
      ZT_RETURN_IF_ERROR(saved->write(latents.data(), latents.view().bytes()));
      ZT_RETURN_IF_ERROR(saved->commit());
      result.files.push_back(s.save_latents);
    }

    clock.enter(JobState::decoding, s.frames);
    FrameSink sink = [&](const TensorView& frame) {
      ZT_RETURN_IF_ERROR(output->push(frame));
      clock.step(output->frames());
      return ok_status();
    };
    ZT_RETURN_IF_ERROR(p.pipeline->decode(latents, p.memory.tiled_decode, sink, ctx));

    clock.enter(JobState::writing);
    if (ctx.cancelled()) return {Code::kCancelled, "cancelled"};
    if (report) {
      clock.end();
      log.measuring_s = measured_before + meter.seconds();
      ZT_RETURN_IF_ERROR(write_text(*report, report_json(p.job, host().places().version, log, result)));
      ZT_RETURN_IF_ERROR(report->commit());
      result.files.push_back(s.report);
    }
    return ok_status();
  }

  // What the report has of the steps that a checkpoint stands for.
  static ReportLog log_so_far(const JobSpec& s, const std::optional<JobCheckpoint>& checkpoint, const JobControl& control) {
    if (s.report.empty() || !checkpoint->found()) return {};
    int64_t steps = checkpoint->found()->step;
    if (auto log = unpack_report(checkpoint->found_report(), steps)) return std::move(*log);
    control.note(fmt::format("report: the first {} steps were made without it and are missing there", steps));
    return {};
  }

  static TensorView real_rows_if(const Tensor& t, bool stored) { return stored ? real_rows(t) : t.view(); }

  RenderOptions options_;
  PreviewMaker preview_;
};

}  // namespace

std::unique_ptr<JobRunner> make_render_runner(std::shared_ptr<ModelHost> host, RenderOptions options) {
  return std::make_unique<RenderRunner>(std::move(host), std::move(options));
}

Result<PreparedJob> dry_run(ModelHost& host, const JobSpec& spec, const JobControl& control, JobResult& result) {
  Plan p;
  ZT_ASSIGN_OR_RETURN(p.job, host.begin(spec, JobKind::render, control));
  result.spec = p.job.spec, result.settings_hash = settings_hash(p.job.spec);
  ZT_RETURN_IF_ERROR(plan_render(host, p, {}, control, result));
  const ModelFolder& model = p.pipeline->model();
  Grid grid = token_grid(model.transformer_config, p.latent);
  result.numbers["tokens"] = double(grid.tokens());
  result.numbers["text_tokens"] = double(p.prompt.ids.size());
  // A method whose plan depends on the tensors is counted as dense.
  auto plan = static_plan(*p.job.attention, grid, model.transformer_config.heads, host.ctx());
  result.numbers["expected_flops"] =
      sampling_flops(model.transformer_config, p.latent, int64_t(p.prompt.ids.size()), p.job.spec.steps, p.guided, plan.ok() ? (*plan)->density() : 1) +
      decoding_flops(model.vae_config, p.latent);
  ZT_ASSIGN_OR_RETURN(double speed, host.speed(p.job, int64_t(result.numbers["tokens"])));
  result.numbers["expected_s"] = result.numbers["expected_flops"] / speed;
  return p.job;
}

}  // namespace zt
