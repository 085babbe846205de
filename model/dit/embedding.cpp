#include "model/dit/embedding.h"

#include <cmath>
#include <numbers>
#include <vector>

#include "kernels/api/transfer.h"

namespace zt {
namespace {

constexpr double kTheta = 10000.0;

struct Axis {
  int64_t pairs, length;
  std::vector<float> cos, sin;  // [length, pairs]

  Axis(int64_t dim, int64_t n) : pairs(dim / 2), length(n) {
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < pairs; ++j) {
        double a = double(i) * std::pow(kTheta, -2.0 * double(j) / double(dim));
        cos.push_back(float(std::cos(a)));
        sin.push_back(float(std::sin(a)));
      }
    }
  }
};

}  // namespace

Result<RopeTables> make_rope(const Grid& grid, int64_t head_dim, const ExecContext& ctx) {
  int64_t space = 2 * (head_dim / 6), half = head_dim / 2;
  Axis axes[3] = {Axis(head_dim - 2 * space, grid.t), Axis(space, grid.h), Axis(space, grid.w)};
  RopeTables tables;
  ZT_ASSIGN_OR_RETURN(tables.cos, ctx.arena->make(DType::f32, {grid.tokens(), half}));
  ZT_ASSIGN_OR_RETURN(tables.sin, ctx.arena->make(DType::f32, {grid.tokens(), half}));
  ZT_ASSIGN_OR_RETURN(HostWrite cos, HostWrite::make(tables.cos, ctx));
  ZT_ASSIGN_OR_RETURN(HostWrite sin, HostWrite::make(tables.sin, ctx));
  float *c = cos.view().as<float>(), *s = sin.view().as<float>();
  for (int64_t t = 0; t < grid.t; ++t) {
    for (int64_t h = 0; h < grid.h; ++h) {
      for (int64_t w = 0; w < grid.w; ++w) {
        int64_t index[3] = {t, h, w};
        for (int a = 0; a < 3; ++a) {
          const Axis& axis = axes[a];
          int64_t at = index[a] * axis.pairs;
          c = std::copy_n(&axis.cos[size_t(at)], axis.pairs, c);
          s = std::copy_n(&axis.sin[size_t(at)], axis.pairs, s);
        }
      }
    }
  }
  ZT_RETURN_IF_ERROR(cos.finish(ctx));
  ZT_RETURN_IF_ERROR(sin.finish(ctx));
  return tables;
}

void timestep_embedding(std::span<const double> timesteps, int64_t dim, std::span<float> out) {
  int64_t half = dim / 2;
  ZT_CHECK(int64_t(out.size()) == dim * int64_t(timesteps.size()));
  float* o = out.data();
  for (double t : timesteps) {
    for (int64_t j = 0; j < half; ++j) {
      float f = float(std::exp(double(float(-std::log(kTheta) * double(j)) / float(half))));
      double angle = double(float(t) * f);
      o[j] = float(std::cos(angle));
      o[half + j] = float(std::sin(angle));
    }
    o += dim;
  }
}

}  // namespace zt
