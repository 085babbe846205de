#include "model/vae/vae.h"

namespace zt {
namespace {

// fn(value, mean, std) over [C, ...] f32 of any strides.
template <class F>
void per_channel(const VaeConfig& config, const TensorView& v, F fn) {
  ZT_CHECK(v.dtype == DType::f32 && v.rank() == 4 && size_t(v.dim(0)) == config.latents_mean.size() &&
           config.latents_mean.size() == config.latents_std.size());
  for (int64_t c = 0; c < v.dim(0); ++c) {
    const float mean = config.latents_mean[size_t(c)], std = config.latents_std[size_t(c)];
    for (int64_t t = 0; t < v.dim(1); ++t) {
      for (int64_t y = 0; y < v.dim(2); ++y) {
        float* row = v.as<float>() + c * v.stride(0) + t * v.stride(1) + y * v.stride(2);
        for (int64_t x = 0; x < v.dim(3); ++x) row[x * v.stride(3)] = fn(row[x * v.stride(3)], mean, std);
      }
    }
  }
}

}  // namespace

void normalise_latents(const VaeConfig& config, const TensorView& z) {
  per_channel(config, z, [](float v, float mean, float std) { return (v - mean) / std; });
}

void denormalise_latents(const VaeConfig& config, const TensorView& latents) {
  per_channel(config, latents, [](float v, float mean, float std) { return v * std + mean; });
}

}  // namespace zt
