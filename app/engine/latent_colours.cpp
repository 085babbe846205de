#include "app/engine/latent_colours.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "kernels/api/transfer.h"

namespace zt {
namespace {

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

// 1,024 samples for 17 unknowns a colour.
Result<LatentColours> LatentColours::fit(TextToVideo& pipeline, const ExecContext& ctx) {
  ZT_ASSIGN_OR_RETURN(Tensor picture, host_arena(ctx).make(DType::f32, Shape{kFitSide, kFitSide, 3}));
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
  LatentColours colours;
  colours.map_ = solve(std::move(a), std::move(b), n);
  return colours;
}

Clip LatentColours::picture(const TensorView& latents, double fps) const {
  int64_t channels = latents.dim(0), pixels = latents.dim(1) * latents.dim(2) * latents.dim(3);
  const float* z = latents.as<float>();
  auto clip = std::make_shared<ClipFrames>();
  clip->frames = latents.dim(1), clip->height = latents.dim(2), clip->width = latents.dim(3), clip->fps = fps;
  clip->rgb.resize(size_t(pixels * 3));
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < 3; ++c) {
      float v = map_[size_t(channels * 3 + c)];
      for (int64_t k = 0; k < channels; ++k) v += map_[size_t(k * 3 + c)] * z[k * pixels + p];
      clip->rgb[size_t(p * 3 + c)] = uint8_t(std::lround((std::clamp(v, -1.f, 1.f) + 1) * 127.5f));
    }
  }
  return clip;
}

}  // namespace zt
