#include "app/engine/watch.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>
#include <utility>

namespace zt {
namespace {

uint8_t to_byte(float v) { return uint8_t(std::lround((std::clamp(v, -1.f, 1.f) + 1) * 127.5f)); }

// Solves A x = b for three right sides, A symmetric positive definite [n, n]: Gauss without pivoting is stable for it.
std::vector<float> solve(std::vector<double> a, std::vector<double> b, size_t n) {
  for (size_t k = 0; k < n; ++k) {
    for (size_t i = k + 1; i < n; ++i) {
      double f = a[i * n + k] / a[k * n + k];
      for (size_t j = k; j < n; ++j) a[i * n + j] -= f * a[k * n + j];
      for (size_t c = 0; c < 3; ++c) b[i * 3 + c] -= f * b[k * 3 + c];
    }
  }
  std::vector<float> x(n * 3);
  for (size_t k = n; k-- > 0;) {
    for (size_t c = 0; c < 3; ++c) {
      double v = b[k * 3 + c];
      for (size_t j = k + 1; j < n; ++j) v -= a[k * n + j] * double(x[j * 3 + c]);
      x[k * 3 + c] = float(v / a[k * n + k]);
    }
  }
  return x;
}

// A smooth picture that visits all colours: the samples of the fit.
constexpr int64_t kFitSide = 256;
float fit_colour(int64_t y, int64_t x, int64_t c) {
  double u = double(x) / double(kFitSide) * 2 * std::numbers::pi, v = double(y) / double(kFitSide) * 2 * std::numbers::pi;
  constexpr double kWaves[3][2] = {{3, 1}, {1, 2}, {2, -3}};
  return float(0.9 * std::sin(kWaves[c][0] * u + kWaves[c][1] * v + double(c)));
}

}  // namespace

AttentionTable attention_table(const AttentionRecord* records, size_t count, const StepInfo& info,
                               const TransformerConfig& model) {
  AttentionTable t;
  t.step = info.step, t.steps = info.steps, t.layers = model.layers, t.heads = model.heads;
  size_t heads = size_t(t.heads), layers = size_t(t.layers);
  std::vector<double> density(layers), seconds(layers), passes(layers);
  for (size_t i = 0; i < count; ++i) {
    size_t layer = size_t(records[i].layer);
    if (layer >= layers) continue;
    density[layer] += records[i].density, seconds[layer] += records[i].seconds, passes[layer] += 1;
  }
  for (size_t l = 0; l < layers; ++l) {
    double n = std::max(passes[l], 1.);
    t.density.insert(t.density.end(), heads, float(density[l] / n));
    t.time_ms.insert(t.time_ms.end(), heads, float(seconds[l] * 1e3 / double(heads)));
  }
  return t;
}

// Least squares of colours on latents, from one encoded picture: 1,024 samples for 17 unknowns a colour.
Status PreviewMaker::fit(TextToVideo& pipeline, const ExecContext& ctx) {
  ZT_ASSIGN_OR_RETURN(Tensor picture, ctx.arena->make(DType::f32, Shape{kFitSide, kFitSide, 3}));
  for (int64_t i = 0; i < picture.view().count(); ++i)
    picture.as<float>()[i] = fit_colour(i / 3 / kFitSide, i / 3 % kFitSide, i % 3);
  bool given = false;
  auto next = [&]() -> Result<TensorView> { return std::exchange(given, true) ? TensorView() : picture.view(); };
  ZT_ASSIGN_OR_RETURN(Tensor z, pipeline.encode({kFitSide, kFitSide, 1}, next, ctx));
  int64_t channels = z.view().dim(0), h = z.view().dim(2), w = z.view().dim(3), cell = kFitSide / h;
  size_t n = size_t(channels) + 1;
  std::vector<double> a(n * n), b(n * 3), row(n, 1.);
  for (int64_t p = 0; p < h * w; ++p) {
    for (int64_t c = 0; c < channels; ++c) row[size_t(c)] = double(z.as<float>()[c * h * w + p]);
    double colour[3] = {};
    for (int64_t k = 0; k < cell * cell * 3; ++k) {
      int64_t y = p / w * cell + k / 3 / cell, x = p % w * cell + k / 3 % cell;
      colour[k % 3] += double(fit_colour(y, x, k % 3)) / double(cell * cell);
    }
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) a[i * n + j] += row[i] * row[j];
      for (size_t c = 0; c < 3; ++c) b[i * 3 + c] += row[i] * colour[c];
    }
  }
  // Channels that a smooth picture does not move would make the system singular.
  constexpr double kRidge = 1e-3;
  for (size_t i = 0; i < n; ++i) a[i * n + i] += kRidge * double(h * w);
  map_ = solve(std::move(a), std::move(b), n);
  return ok_status();
}

void PreviewMaker::prepare(TextToVideo& pipeline, const ExecContext& ctx) {
  spent_s_ = job_s_ = 0;
  const std::string& root = pipeline.model().root;
  if (pipeline.keep_all()) {
    // Wanted at the end anyway: its loading is no cost of the previews. If it fails, so does the job, later and by name.
    (void)pipeline.load_decoder(ctx);
    return;
  }
  if (fitted_ == root) return;
  map_.clear();
  fitted_ = fit(pipeline, ctx).ok() ? root : "";
}

// The latent frame in the middle, decoded as if the clip began there.
Status PreviewMaker::decode(TextToVideo& pipeline, const StepInfo& info, ClipFrames& clip, const ExecContext& ctx) const {
  int64_t channels = info.x0.dim(0), t = info.x0.dim(1), area = info.x0.dim(2) * info.x0.dim(3);
  const float* z = info.x0.as<float>();
  ZT_ASSIGN_OR_RETURN(Tensor one, ctx.arena->make(DType::f32, Shape{channels, 1, info.x0.dim(2), info.x0.dim(3)}));
  for (int64_t c = 0; c < channels; ++c) std::copy_n(z + (c * t + t / 2) * area, area, one.as<float>() + c * area);
  FrameSink sink = [&](const TensorView& f) {
    clip.height = f.dim(0), clip.width = f.dim(1), clip.frames = 1;
    clip.rgb.resize(size_t(f.count()));
    std::transform(f.as<float>(), f.as<float>() + f.count(), clip.rgb.begin(), to_byte);
    return ok_status();
  };
  return pipeline.decode(one, false, sink, ctx);
}

void PreviewMaker::map(const StepInfo& info, ClipFrames& clip) const {
  int64_t channels = info.x0.dim(0), pixels = info.x0.dim(1) * info.x0.dim(2) * info.x0.dim(3);
  const float* z = info.x0.as<float>();
  clip.frames = info.x0.dim(1), clip.height = info.x0.dim(2), clip.width = info.x0.dim(3);
  clip.rgb.resize(size_t(pixels * 3));
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < 3; ++c) {
      float v = map_[size_t(channels * 3 + c)];
      for (int64_t k = 0; k < channels; ++k) v += map_[size_t(k * 3 + c)] * z[k * pixels + p];
      clip.rgb[size_t(p * 3 + c)] = to_byte(v);
    }
  }
}

Clip PreviewMaker::make(TextToVideo& pipeline, const StepInfo& info, double fps, const ExecContext& ctx) {
  constexpr double kShare = 0.1;
  job_s_ += info.seconds;
  if (spent_s_ > kShare * job_s_ || info.step == info.steps) return nullptr;
  auto begin = std::chrono::steady_clock::now();
  auto clip = std::make_shared<ClipFrames>();
  clip->fps = fps / double(pipeline.model().vae_config.temporal_factor());
  if (pipeline.keep_all()) {
    if (!decode(pipeline, info, *clip, ctx).ok()) return nullptr;
  } else if (!map_.empty()) {
    map(info, *clip);
  } else {
    return nullptr;
  }
  spent_s_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return clip;
}

}  // namespace zt
