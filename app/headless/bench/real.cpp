#include <sys/resource.h>

#include <algorithm>
#include <chrono>

#include "app/headless/bench/measure.h"
#include "model/dit/transformer.h"
#include "model/policy/policy.h"
#include "model/vae/vae.h"

namespace zt::bench {
namespace {

struct RealModel {
  TransformerConfig transformer;
  VaeConfig vae;
};

// The defaults of the configs are Wan2.1's: T2V 1.3B and the z-16 VAE (wan/configs, diffusers model cards).
Result<RealModel> real_model(const std::string& name) {
  RealModel m;
  m.vae.latents_mean.assign(size_t(m.vae.z_dim), 0.f);
  m.vae.latents_std.assign(size_t(m.vae.z_dim), 1.f);
  if (name == "wan2.1-t2v-1.3b") return m;
  if (name == "wan2.1-t2v-14b") {
    m.transformer.heads = 40, m.transformer.layers = 40, m.transformer.ffn_dim = 13824;
    return m;
  }
  return invalid("--shape {}: known shapes are wan2.1-t2v-1.3b and wan2.1-t2v-14b", name);
}

Tensor noise(Shape shape, const ExecContext& ctx) {
  auto t = ctx.arena->make(DType::f32, shape);
  ZT_CHECK(t.ok());
  uint32_t s = 1;
  for (int64_t i = 0; i < shape.count(); ++i) s = s * 1664525u + 1013904223u, t->as<float>()[i] = float(s >> 8) / float(1 << 22) - 2.f;
  return std::move(t).value();
}

double peak_rss_gb() {
  rusage u{};
  getrusage(RUSAGE_SELF, &u);
  return double(u.ru_maxrss) * 1024 / 1e9;
}

double gb(size_t bytes) { return double(bytes) / 1e9; }

// Time, FLOPs and rate of everything measured in zones whose names begin with one of `prefixes`.
Line zones(const Profiler& p, std::string what, const std::vector<std::string_view>& prefixes, double calls) {
  Line l{std::move(what), "", 0, 0, 0};
  double flops = 0;
  for (const auto& [name, e] : p.entries()) {
    for (auto prefix : prefixes) {
      if (name.rfind(prefix, 0) == 0) l.seconds += e.seconds / calls, flops += e.flops / calls;
    }
  }
  l.gflops = l.seconds > 0 ? flops / l.seconds / 1e9 : 0;
  return l;
}

Status add_transformer(Report& report, const RealModel& m, const Shape& latent, const ExecContext& outer, DType type, int rounds) {
  Profiler profiler;
  ExecContext ctx = outer;
  ctx.arena->reset_peak();
  WeightStore store = WeightStore::synthetic(1);
  ZT_ASSIGN_OR_RETURN(auto dit, Transformer::load(m.transformer, store, type, ctx));
  ZT_RETURN_IF_ERROR(dit->prepare(latent, ctx));
  constexpr int64_t kTextRows = 64;
  DitMemory memory = dit_memory(m.transformer, latent, kTextRows, type, false, ctx);
  Tensor embeds = noise({kTextRows, m.transformer.text_dim}, ctx), x = noise(latent, ctx), v = noise(latent, ctx);
  ZT_ASSIGN_OR_RETURN(auto text, dit->encode_text(embeds, 512, ctx));
  ZT_ASSIGN_OR_RETURN(auto policy, make_policy("dense"));
  AttentionDriver attention(policy);
  Conditioning cond;
  cond.text = text.get(), cond.frame_timesteps = {500};
  Status status;
  auto matmul = probe(type, ctx);
  ctx.profiler = &profiler;
  std::vector<std::function<void()>> turns = {[&] {
    if (status.ok()) status = dit->forward(x, cond, attention, v, ctx);
  }};
  if (matmul) turns.push_back([&] { for (int i = 0; i < 8; ++i) matmul->seconds(); });
  auto times = in_turns(rounds, turns);
  ZT_RETURN_IF_ERROR(status);
  double peak = matmul ? 8 * matmul->flops() / times[1].median / 1e9 : 0, calls = rounds + 1;
  std::string at = fmt::format("{} tokens", dit->grid().tokens());
  Line all = zones(profiler, "transformer step, " + at, {"linear", "attention"}, calls);
  all.gflops *= all.seconds / times[0].median, all.seconds = times[0].median;
  report.lines.push_back(all);
  report.lines.push_back(zones(profiler, "  linear layers and attention", {"linear", "attention"}, calls));
  report.lines.push_back(zones(profiler, "  linear layers", {"linear"}, calls));
  report.lines.push_back(zones(profiler, "  self-attention", {"attention.self"}, calls));
  report.lines.push_back(zones(profiler, "  cross-attention", {"attention.cross"}, calls));
  report.lines.push_back(zones(profiler, "  norms and rotary embedding", {"norm", "rope"}, calls));
  for (auto& l : report.lines) l.matmul_gflops = peak, l.implementation = std::string(dtype_name(type));
  report.facts["transformer"] = {{"weights_gb", gb(dit->weight_bytes())},
                                 {"estimate_gb", gb(memory.weights.resident() + memory.activations + memory.text_context)},
                                 {"arena_peak_gb", gb(ctx.arena->peak())},
                                 {"rss_peak_gb", peak_rss_gb()}};
  return {};
}

nlohmann::json decode_facts(const VaeMemory& memory, size_t weights, size_t before, const ExecContext& ctx) {
  return {{"weights_gb", gb(weights)},
          {"estimate_gb", gb(memory.total())},
          {"working_gb", gb(memory.cache + memory.activations)},
          {"arena_peak_gb", gb(ctx.arena->peak() - before)},
          {"rss_peak_gb", peak_rss_gb()}};
}

Status add_decode(Report& report, const RealModel& m, const Shape& latent, const ExecContext& outer, DType type) {
  Profiler profiler;
  ExecContext ctx = outer;
  ctx.arena->reset_peak();
  size_t before = ctx.arena->current();
  WeightStore store = WeightStore::synthetic(2);
  ZT_ASSIGN_OR_RETURN(auto vae, VaeDecoder::load(m.vae, store, type, ctx));
  Tensor z = noise(latent, ctx);
  ZT_RETURN_IF_ERROR(vae->begin(latent[2], latent[3], ctx));
  auto matmul = probe(type, ctx);
  std::vector<double> frame_s, peak_s;
  int64_t frames = 0;
  FrameSink sink = [&](const TensorView&) -> Status { return ++frames, Status(); };
  ctx.profiler = &profiler;
  for (int64_t t = 0; t < latent[1]; ++t) {
    auto begin = std::chrono::steady_clock::now();
    ZT_RETURN_IF_ERROR(vae->push(z.view().select(1, t), sink, ctx));
    frame_s.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    for (int i = 0; matmul && i < 8; ++i) peak_s.push_back(matmul->seconds());
  }
  vae->end();
  std::sort(peak_s.begin(), peak_s.end());
  double peak = peak_s.empty() ? 0 : matmul->flops() / peak_s[peak_s.size() / 2] / 1e9, total = 0;
  for (double s : frame_s) total += s;
  Line all = zones(profiler, fmt::format("decode, {} frames of {}x{}", frames, latent[3] * 8, latent[2] * 8), {"vae."}, 1);
  all.gflops *= all.seconds / total, all.seconds = total;
  Line one{"  one latent frame (4 frames)", "", frame_s.back(), 0, 0};
  Line conv = zones(profiler, "  convolutions", {"vae.conv"}, 1);
  for (Line* l : {&all, &one, &conv}) {
    l->matmul_gflops = peak, l->implementation = std::string(dtype_name(type));
    report.lines.push_back(*l);
  }
  report.facts["decode"] = decode_facts(vae_decode_memory(m.vae, latent[2], latent[3], type, ctx), vae->weight_bytes(), before, ctx);
  return {};
}

// The spatially tiled decode that takes over where the exact one does not fit.
Status add_tiled(Report& report, const RealModel& m, const Shape& latent, const ExecContext& ctx, DType type) {
  ctx.arena->reset_peak();
  size_t before = ctx.arena->current();
  WeightStore store = WeightStore::synthetic(2);
  ZT_ASSIGN_OR_RETURN(auto vae, VaeDecoder::load(m.vae, store, type, ctx));
  Tensor z = noise(latent, ctx);
  int64_t frames = 0;
  auto begin = std::chrono::steady_clock::now();
  ZT_RETURN_IF_ERROR(decode_tiled(*vae, m.vae, z, [&](const TensorView&) -> Status { return ++frames, Status(); }, ctx));
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  report.lines.push_back({fmt::format("tiled decode, {} frames of {}x{}", frames, latent[3] * 8, latent[2] * 8), std::string(dtype_name(type)), seconds, 0, 0});
  VaeMemory memory = vae_tiled_memory(m.vae, latent[2], latent[3], latent[1], type, ctx);
  report.facts["tiled"] = decode_facts(memory, vae->weight_bytes(), before, ctx);
  return {};
}

}  // namespace

Result<Report> bench_real(const RealShape& shape, const ExecContext& ctx, DType type, int rounds) {
  ZT_ASSIGN_OR_RETURN(RealModel m, real_model(shape.model));
  if (shape.width < 16 || shape.height < 16 || shape.width % 16 || shape.height % 16 || shape.frames < 1 || shape.frames % 4 != 1) {
    return invalid("bench render: {}x{} with {} frames; sides must be multiples of 16, frames 4 n + 1", shape.width, shape.height, shape.frames);
  }
  Shape latent{m.vae.z_dim, (shape.frames - 1) / 4 + 1, shape.height / 8, shape.width / 8};
  Report report{fmt::format("render, {} at {}x{}x{}", shape.model, shape.width, shape.height, shape.frames), machine_facts(ctx), {}};
  if (shape.transformer) ZT_RETURN_IF_ERROR(add_transformer(report, m, latent, ctx, type, rounds));
  if (shape.decode) ZT_RETURN_IF_ERROR(add_decode(report, m, latent, ctx, type));
  if (shape.tiled) ZT_RETURN_IF_ERROR(add_tiled(report, m, latent, ctx, type));
  return report;
}

}  // namespace zt::bench
