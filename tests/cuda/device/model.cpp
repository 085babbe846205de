#include <algorithm>

#include "kernels/api/transfer.h"
#include "model/dit/transformer.h"
#include "model/pipeline/text_to_video.h"
#include "model/policy/policy.h"
#include "model/vae/vae.h"
#include "tests/cuda/device/json.h"
#include "tests/cuda/device/parts.h"
#include "tests/support/cuda_ops/checker.h"

namespace zt::testing {
namespace {

// Attention on a queue: what a call costs shows when the device has been waited for.
class WaitingProfiler final : public AttentionHook {
 public:
  void before(const Site&, TensorView&, TensorView&, TensorView&, const ExecContext& ctx) override {
    need(wait_for_device(ctx));
    begin_ = now_seconds();
  }
  Status after(const Site& site, const AttentionPlan&, const AttentionArgs&, AttentionRecord&, const ExecContext& ctx) override {
    need(wait_for_device(ctx));
    (site.kind == AttentionKind::self ? self : cross) += now_seconds() - begin_;
    return {};
  }
  double self = 0, cross = 0;

 private:
  double begin_ = 0;
};

}  // namespace

bool check_render(const ExecContext& ctx, const std::string& root, const std::string& latents, int64_t steps, int64_t width, int64_t height,
                  int64_t frames) {
  bool well = true;
  for (DType compute : {DType::f32, DType::bf16}) {
    auto pipeline = need(TextToVideo::open(root, compute));
    DenoiseRequest r;
    const double begin = now_seconds();
    Tensor embeds = need(pipeline->embed(need(pipeline->tokenize("a red ball rolls to the right on green grass")), ctx));
    Tensor negative = need(pipeline->embed(need(pipeline->tokenize("")), ctx));
    const double embedded = now_seconds();
    need(pipeline->load_transformer(ctx));
    const double loaded = now_seconds();
    r.embeds = embeds, r.negative_embeds = negative, r.steps = steps;
    r.attention = need(make_policy("dense"));
    Tensor made = need(pipeline->denoise({width, height, frames}, r, {}, ctx));
    const double denoised = now_seconds();
    // The same with weights that come block by block.
    auto coming = need(TextToVideo::open(root, compute));
    coming->place({.text_streamed = true, .transformer_streamed = true});
    bool same = values_of(need(coming->embed(need(coming->tokenize("")), ctx))) == values_of(negative);
    need(coming->load_transformer(ctx));
    const double ready = now_seconds();
    r.attention = need(make_policy("dense"));
    same = values_of(need(coming->denoise({width, height, frames}, r, {}, ctx))) == values_of(made) && same;
    const double streamed = now_seconds() - ready;
    coming.reset();
    const double begin_decode = now_seconds();
    int64_t count = 0, bad = 0;
    need(pipeline->decode(made, false, [&](const TensorView& f) {
      ++count;
      for (int64_t i = 0; i < f.count(); ++i) bad += !std::isfinite(f.as<float>()[i]);
      return ok_status();
    }, ctx));
    nlohmann::json j{{"event", "render"}, {"precision", std::string(dtype_name(compute))}, {"text_s", embedded - begin}, {"load_s", loaded - embedded},
                     {"denoise_s", denoised - loaded}, {"decode_s", now_seconds() - begin_decode}, {"frames", count}, {"not_finite", bad}};
    j["streamed_denoise_s"] = streamed, j["streamed_equal"] = same;
    bool ok = count == frames && bad == 0 && same;
    if (!latents.empty()) {
      SafetensorsFile file = need(SafetensorsFile::open(latents));
      const double error = nmse_of(values_of(made), values_of(file.tensors.at("latents")));
      // f32 differs by the order of sums, some 1e-7 an operation, over all steps; bf16 by 2^-9 a value and as often.
      const double bound = compute == DType::f32 ? 1e-6 : 1e-2;
      j["latents_nmse"] = error, j["bound"] = bound;
      ok = ok && error <= bound;
    }
    j["ok"] = ok;
    print_line(j);
    well = well && ok;
  }
  return well;
}

bool time_model(const ExecContext& ctx, int64_t frames) {
  const int64_t t = (frames - 1) / 4 + 1;
  const Shape latent{16, t, 60, 104};
  for (bool streamed : {false, true}) {
    ctx.arena->reset_peak();
    WeightStore store = WeightStore::synthetic(1);
    const double begin = now_seconds();
    auto dit = need(Transformer::load({}, store, DType::bf16, ctx, streamed));
    need(dit->prepare(latent, ctx));
    Tensor embeds = need(host_arena(ctx).zeros(DType::f32, {64, 4096}));
    auto text = need(dit->encode_text(embeds, 512, ctx));
    need(wait_for_device(ctx));
    const double loaded = now_seconds() - begin;
    Tensor x = need(ctx.arena->zeros(DType::f32, latent)), v = need(ctx.arena->make(DType::f32, latent));
    Conditioning cond;
    cond.text = text.get(), cond.frame_timesteps = {500};
    auto forward = [&](AttentionHook* hook) {
      AttentionDriver attention(need(make_policy("dense")));
      if (hook) attention.hooks.push_back(hook);
      const double from = now_seconds();
      need(dit->forward(x, cond, attention, v, ctx));
      need(wait_for_device(ctx));
      return now_seconds() - from;
    };
    const double first = forward(nullptr), second = forward(nullptr);
    WaitingProfiler waits;
    const double watched = forward(&waits);
    print_line({{"event", "transformer"}, {"model", "wan2.1-t2v-1.3b, synthetic"}, {"streamed", streamed}, {"tokens", dit->grid().tokens()},
                {"load_s", loaded}, {"first_s", first}, {"forward_s", second}, {"watched_s", watched}, {"self_attention_s", waits.self},
                {"cross_attention_s", waits.cross}, {"memory_gib", double(ctx.arena->peak()) / double(1 << 30)}});
  }
  VaeConfig config;
  config.latents_mean.assign(size_t(config.z_dim), 0.f), config.latents_std.assign(size_t(config.z_dim), 1.f);
  WeightStore store = WeightStore::synthetic(2);
  auto vae = need(VaeDecoder::load(config, store, DType::bf16, ctx));
  Tensor z = need(host_arena(ctx).zeros(DType::f32, {16, 60, 104}));
  need(vae->begin(60, 104, ctx));
  std::vector<double> seconds;
  int64_t count = 0;
  for (int i = 0; i < 3; ++i) {
    const double from = now_seconds();
    need(vae->push(z, [&](const TensorView&) { return ++count, ok_status(); }, ctx));
    seconds.push_back(now_seconds() - from);
  }
  need(vae->finish([&](const TensorView&) { return ++count, ok_status(); }, ctx));
  vae->end();
  print_line({{"event", "decoder"}, {"frames", count}, {"latent_frame_s", seconds}});
  return true;
}

}  // namespace zt::testing
