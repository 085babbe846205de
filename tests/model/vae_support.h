// VAEs for tests: weights are made from tensor names, exactly as tests/golden/vae_golden.py makes them.
#pragma once

#include <filesystem>
#include <functional>

#include "model/vae/layers.h"
#include "model/vae/vae.h"
#include "tests/support/testing.h"

namespace zt::testing {

// The numbers of vae_golden.py: [-0.5, 0.5) from the hash of a name.
std::vector<float> uniform_of(const std::string& name, int64_t count);

struct VaeCase {
  std::string name, hash;
  VaeConfig config;
  std::array<int64_t, 3> latent{}, video{};  // t, h, w; video {0, 0, 0} = none
  std::map<std::string, std::vector<float>> expected;
};
// tests/golden/vae/<name>.safetensors.
VaeCase vae_case(const std::string& name);
VaeConfig vae_config(int64_t base, int64_t z, std::vector<int64_t> mult, int64_t res, std::vector<bool> temporal);

using Rename = std::function<std::string(const std::string&)>;
// All tensors of both halves, in a file of its own that lives as long as the process.
WeightStore vae_store(const VaeConfig& config, const Rename& rename = {}, DType dtype = DType::f32);
// FNV-1a of the sorted "name shape" lines.
std::string tensors_hash(const VaeConfig& config);

std::unique_ptr<VaeDecoder> decoder_of(const VaeConfig& config, DType compute, const ExecContext& ctx);
std::unique_ptr<VaeEncoder> encoder_of(const VaeConfig& config, DType compute, const ExecContext& ctx);

// [C, T, h, w] from uniform_of("z") times 4.
Tensor test_latents(Arena& arena, int64_t channels, std::array<int64_t, 3> size);
// One clip after begin(); frames one after another.
std::vector<float> decode_clip(VaeDecoder& vae, const TensorView& z, const ExecContext& ctx);
// Frames from uniform_of("x") times 2; latents as [C, T, h, w].
std::vector<float> encode_clip(VaeEncoder& vae, std::array<int64_t, 3> size, const ExecContext& ctx);

}  // namespace zt::testing
