#include "app/analysis/decay.h"

#include <algorithm>
#include <cmath>

namespace zt {
namespace {

constexpr int64_t kMaxDistance = 64;
// A head is of a kind when that kind's share is at least half of its mass and twice what attention without preference gives.
constexpr double kShare = 0.5, kLift = 2;

double r_squared(std::span<const double> y, std::span<const double> fitted) {
  double mean = 0, total = 0, left = 0;
  for (double v : y) mean += v / double(y.size());
  for (size_t i = 0; i < y.size(); ++i) total += (y[i] - mean) * (y[i] - mean), left += (y[i] - fitted[i]) * (y[i] - fitted[i]);
  return total > 0 ? 1 - left / total : 0;
}

struct Line {
  double slope = 0, offset = 0;
};

Line least_squares(std::span<const double> x, std::span<const double> y) {
  double n = double(x.size()), sx = 0, sy = 0, xx = 0, xy = 0;
  for (size_t i = 0; i < x.size(); ++i) sx += x[i], sy += y[i], xx += x[i] * x[i], xy += x[i] * y[i];
  double slope = (n * xy - sx * sy) / (n * xx - sx * sx);
  return {slope, (sy - slope * sx) / n};
}

// Gauss-Newton on y = exp(-a x + b) from the fit of log y; a step that makes it worse is halved.
void refine(std::span<const double> x, std::span<const double> y, double& a, double& b) {
  auto error = [&](double p, double q) {
    double e = 0;
    for (size_t i = 0; i < x.size(); ++i) e += std::pow(y[i] - std::exp(-p * x[i] + q), 2);
    return e;
  };
  double now = error(a, b);
  for (int round = 0; round < 100; ++round) {
    double aa = 0, ab = 0, bb = 0, ga = 0, gb = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      double f = std::exp(-a * x[i] + b), da = -x[i] * f, db = f, r = y[i] - f;
      aa += da * da, ab += da * db, bb += db * db, ga += da * r, gb += db * r;
    }
    double det = aa * bb - ab * ab;
    if (!(std::abs(det) > 1e-300)) return;
    double step_a = (bb * ga - ab * gb) / det, step_b = (aa * gb - ab * ga) / det, scale = 1;
    while (scale > 1e-6 && !(error(a + scale * step_a, b + scale * step_b) < now)) scale /= 2;
    if (scale <= 1e-6) return;
    a += scale * step_a, b += scale * step_b;
    double next = error(a, b);
    if (now - next <= 1e-12 * now) return;
    now = next;
  }
}

}  // namespace

std::string_view head_kind_name(HeadKind kind) {
  return kind == HeadKind::spatial ? "spatial" : kind == HeadKind::temporal ? "temporal" : "other";
}

ExponentialFit fit_exponential(std::span<const double> values) {
  std::vector<double> x, y, logs, fitted;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] > 0) x.push_back(double(i)), y.push_back(values[i]), logs.push_back(std::log(values[i]));
  }
  ExponentialFit f;
  if (x.size() < 3) return f;
  Line line = least_squares(x, logs);
  f.a = -line.slope, f.b = line.offset;
  for (double v : x) fitted.push_back(-f.a * v + f.b);
  f.r2 = r_squared(logs, fitted);
  f.a_y = f.a, f.b_y = f.b;
  refine(x, y, f.a_y, f.b_y);
  for (size_t i = 0; i < x.size(); ++i) fitted[i] = std::exp(-f.a_y * x[i] + f.b_y);
  f.r2_y = r_squared(y, fitted);
  return f;
}

Decay decay_of(std::span<const float> rows, std::span<const int32_t> queries, const Grid& g) {
  int64_t n = g.tokens(), s = g.h * g.w;
  Decay d;
  d.over_frames.assign(size_t(g.t), 0), d.over_space.assign(size_t(std::min(s, kMaxDistance)), 0);
  std::vector<int64_t> frames_seen(d.over_frames.size(), 0), space_seen(d.over_space.size(), 0);
  double expected_place = 0;
  for (size_t r = 0; r < queries.size(); ++r) {
    const float* p = rows.data() + int64_t(r) * n;
    int64_t frame = queries[r] / s, place = queries[r] % s, y = place / g.w, x = place % g.w;
    for (int64_t t = 0; t < g.t; ++t) {
      size_t distance = size_t(std::abs(t - frame));
      d.over_frames[distance] += double(p[t * s + place]), ++frames_seen[distance];
      for (int64_t v = std::max<int64_t>(0, y - 1); v <= std::min(g.h - 1, y + 1); ++v) {
        for (int64_t u = std::max<int64_t>(0, x - 1); u <= std::min(g.w - 1, x + 1); ++u) {
          d.own_place += double(p[t * s + v * g.w + u]), expected_place += 1 / double(n);
        }
      }
    }
    for (int64_t k = 0; k < s; ++k) {
      double mass = double(p[frame * s + k]);
      d.own_frame += mass;
      size_t distance = size_t(std::abs(k - place));
      if (distance < d.over_space.size()) d.over_space[distance] += mass, ++space_seen[distance];
    }
  }
  auto mean = [](std::vector<double>& v, const std::vector<int64_t>& seen) {
    for (size_t i = 0; i < v.size(); ++i) v[i] = seen[i] > 0 ? v[i] / double(seen[i]) : 0;
  };
  mean(d.over_frames, frames_seen), mean(d.over_space, space_seen);
  double count = std::max(1.0, double(queries.size()));
  d.own_frame /= count, d.own_place /= count, expected_place /= count;
  d.frames_fit = fit_exponential(d.over_frames), d.space_fit = fit_exponential(d.over_space);
  bool spatial = d.own_frame >= kShare && d.own_frame >= kLift / double(g.t);
  bool temporal = d.own_place >= kShare && d.own_place >= kLift * expected_place;
  if (spatial || temporal) d.kind = spatial && (!temporal || d.own_frame >= d.own_place) ? HeadKind::spatial : HeadKind::temporal;
  return d;
}

}  // namespace zt
