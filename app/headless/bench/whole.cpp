#include <algorithm>
#include <chrono>

#include "app/headless/bench/measure.h"
#include "model/pipeline/text_to_video.h"
#include "model/policy/policy.h"

namespace zt::bench {
namespace {

class StageClock {
 public:
  // Seconds since the last call.
  double lap() {
    auto now = Clock::now();
    double s = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    return s;
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_ = Clock::now();
};

struct Stages {
  double open = 0, text = 0, denoise = 0, decode = 0;
  double total() const { return open + text + denoise + decode; }
};

Result<Stages> render_once(const std::string& model, const ClipShape& clip, int64_t steps, const ExecContext& ctx, DType type) {
  StageClock clock;
  Stages s;
  ZT_ASSIGN_OR_RETURN(auto pipeline, TextToVideo::open(model, type));
  s.open = clock.lap();
  ZT_ASSIGN_OR_RETURN(TokenIds ids, pipeline->tokenize("a red balloon rises in a blue sky"));
  ZT_ASSIGN_OR_RETURN(TokenIds none, pipeline->tokenize(""));
  ZT_ASSIGN_OR_RETURN(Tensor embeds, pipeline->embed(ids, ctx));
  ZT_ASSIGN_OR_RETURN(Tensor negative, pipeline->embed(none, ctx));
  s.text = clock.lap();
  DenoiseRequest r;
  r.embeds = embeds, r.negative_embeds = negative, r.steps = steps;
  ZT_ASSIGN_OR_RETURN(r.attention, make_policy("dense"));
  ZT_ASSIGN_OR_RETURN(Tensor latents, pipeline->denoise(clip, r, {}, ctx));
  s.denoise = clock.lap();
  FrameSink sink = [](const TensorView&) -> Status { return {}; };
  ZT_RETURN_IF_ERROR(pipeline->decode(latents, false, sink, ctx));
  s.decode = clock.lap();
  return s;
}

}  // namespace

Result<Report> bench_whole(const std::string& model, const ClipShape& clip, int64_t steps, const ExecContext& outer, DType type, int rounds) {
  Report report{fmt::format("render, {}x{}x{}, {} steps, guidance 4, without encoding", clip.width, clip.height, clip.frames, steps),
                machine_facts(outer),
                {}};
  report.facts["precision"] = std::string(dtype_name(type));
  report.facts["model"] = model;
  Profiler profiler;
  ExecContext ctx = outer;
  Stages best;
  std::vector<double> totals;
  for (int i = 0; i <= rounds; ++i) {  // the first one warms up
    if (i == rounds) ctx.profiler = &profiler;
    ZT_ASSIGN_OR_RETURN(Stages s, render_once(model, clip, steps, ctx, type));
    if (i == 0) continue;
    totals.push_back(s.total());
    if (best.total() == 0 || s.total() < best.total()) best = s;
  }
  std::sort(totals.begin(), totals.end());
  report.facts["median_s"] = totals[totals.size() / 2];
  report.facts["best_s"] = best.total();
  report.facts["arena_peak_mb"] = double(ctx.arena->peak()) / 1e6;
  auto add = [&](const char* what, double s) { report.lines.push_back({what, "best run", s, 0, 0}); };
  add("open and read the model", best.open), add("text encoder, two prompts", best.text);
  add("denoise, loading included", best.denoise), add("decode, loading included", best.decode);
  for (const auto& [zone, e] : profiler.entries()) {
    report.lines.push_back({"  " + zone, fmt::format("{} calls", e.calls), e.seconds, e.seconds > 0 ? e.flops / e.seconds / 1e9 : 0, 0});
  }
  return report;
}

}  // namespace zt::bench
