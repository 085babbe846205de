#include "tests/model/vae_support.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace zt::testing {
namespace {

namespace fs = std::filesystem;

uint64_t fnv1a(const std::string& s) {
  uint64_t h = 0xcbf29ce484222325ull;
  for (unsigned char c : s) h = (h ^ c) * 0x100000001b3ull;
  return h;
}

// Folder for weight files, removed when the program ends.
const fs::path& scratch() {
  struct Folder {
    fs::path path = fs::temp_directory_path() / fmt::format("vae_test_{}", ::getpid());
    Folder() { fs::create_directories(path); }
    ~Folder() {
      std::error_code ignored;
      fs::remove_all(path, ignored);
    }
  };
  static const Folder folder;
  return folder.path;
}

std::vector<VaeTensor> all_tensors(const VaeConfig& config) {
  auto list = vae_decoder_tensors(config);
  for (auto& t : vae_encoder_tensors(config)) list.push_back(t);
  return list;
}

}  // namespace

std::vector<float> uniform_of(const std::string& name, int64_t count) {
  Random random(fnv1a(name));
  std::vector<float> v(static_cast<size_t>(count));
  for (float& x : v) x = float(double(random.bits() >> 40) * 0x1p-24 - 0.5);
  return v;
}

VaeConfig vae_config(int64_t base, int64_t z, std::vector<int64_t> mult, int64_t res, std::vector<bool> temporal) {
  VaeConfig c;
  c.base_dim = base, c.z_dim = z, c.num_res_blocks = res;
  c.dim_mult = std::move(mult), c.temporal_downsample = std::move(temporal);
  c.latents_mean.assign(size_t(z), 0.f), c.latents_std.assign(size_t(z), 1.f);
  return c;
}

VaeCase vae_case(const std::string& name) {
  auto file = must(SafetensorsFile::open(fmt::format("{}/tests/golden/vae/{}.safetensors", ZT_SOURCE_DIR, name)));
  auto meta = nlohmann::json::parse(file.metadata.at("case"));
  VaeCase c;
  c.name = name, c.hash = meta["hash"];
  c.config = vae_config(meta["base"], meta["z"], meta["mult"], meta["res"], meta["temporal"]);
  if (meta.contains("decoder_base")) c.config.decoder_base_dim = meta["decoder_base"];
  c.latent = meta["latent"].get<std::array<int64_t, 3>>();
  if (!meta["video"].empty()) c.video = meta["video"].get<std::array<int64_t, 3>>();
  for (const auto& [key, view] : file.tensors) c.expected[key] = to_floats(view);
  return c;
}

WeightStore vae_store(const VaeConfig& config, const Rename& rename, DType dtype) {
  static int serial = 0;
  Arena arena;
  std::vector<Tensor> owners;
  std::vector<NamedTensor> tensors;
  for (const VaeTensor& t : all_tensors(config)) {
    auto v = uniform_of(t.name, t.shape.count());
    const auto fan_in = double(t.shape.count() / t.shape[0]);
    const bool gamma = t.name.ends_with("gamma"), bias = t.name.ends_with("bias");
    const float scale = gamma || bias ? 0.5f : float(std::sqrt(12.0 / fan_in));
    for (float& x : v) x = gamma ? 1.f + scale * x : scale * x;
    owners.push_back(must(arena.make(dtype, t.shape)));
    convert_floats(v.data(), DType::f32, owners.back().data(), dtype, int64_t(v.size()));
    tensors.push_back({rename ? rename(t.name) : t.name, owners.back()});
  }
  auto path = (scratch() / fmt::format("vae_{}.safetensors", serial++)).string();
  Status written = write_safetensors(path, tensors);
  if (!written.ok()) throw Bug(written.message());
  return must(WeightStore::open(path));
}

std::string tensors_hash(const VaeConfig& config) {
  std::vector<std::string> lines;
  for (const VaeTensor& t : all_tensors(config)) {
    std::string shape;
    for (int i = 0; i < t.shape.rank(); ++i) shape += fmt::format("{}{}", i ? "x" : "", t.shape[i]);
    lines.push_back(t.name + " " + shape);
  }
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const auto& l : lines) text += (text.empty() ? "" : "\n") + l;
  return fmt::format("{:016x}", fnv1a(text));
}

std::unique_ptr<VaeDecoder> decoder_of(const VaeConfig& config, DType compute, const ExecContext& ctx) {
  WeightStore store = vae_store(config);
  return must(VaeDecoder::load(config, store, compute, ctx));
}

std::unique_ptr<VaeEncoder> encoder_of(const VaeConfig& config, DType compute, const ExecContext& ctx) {
  WeightStore store = vae_store(config);
  return must(VaeEncoder::load(config, store, compute, ctx));
}

Tensor test_latents(Arena& arena, int64_t channels, std::array<int64_t, 3> size) {
  Tensor z = must(arena.make(DType::f32, {channels, size[0], size[1], size[2]}));
  auto u = uniform_of("z", z.view().count());
  for (size_t i = 0; i < u.size(); ++i) z.as<float>()[i] = 4.f * u[i];
  return z;
}

std::vector<float> decode_clip(VaeDecoder& vae, const TensorView& z, const ExecContext& ctx) {
  std::vector<float> frames;
  auto sink = [&](const TensorView& f) {
    auto v = to_floats(f);
    frames.insert(frames.end(), v.begin(), v.end());
    return ok_status();
  };
  Status s = vae.begin(z.dim(2), z.dim(3), ctx);
  for (int64_t t = 0; t < z.dim(1) && s.ok(); ++t) s = vae.push(z.select(1, t), sink, ctx);
  EXPECT_TRUE(s.ok()) << s.message();
  return frames;
}

std::vector<float> encode_clip(VaeEncoder& vae, std::array<int64_t, 3> size, const ExecContext& ctx) {
  auto [frames, height, width] = size;
  auto pixels = uniform_of("x", frames * height * width * 3);
  for (float& p : pixels) p *= 2.f;
  std::vector<std::vector<float>> latents;
  int64_t channels = 0;
  auto take = [&](const TensorView& z) {
    channels = z.dim(0);
    latents.push_back(to_floats(z));
    return ok_status();
  };
  Status s = vae.begin(height, width, ctx);
  for (int64_t t = 0; t < frames && s.ok(); ++t) {
    s = vae.push(TensorView(pixels.data() + t * height * width * 3, DType::f32, {height, width, 3}), take, ctx);
  }
  EXPECT_TRUE(s.ok()) << s.message();
  std::vector<float> all;  // [C, T, h, w]
  for (int64_t c = 0; c < channels; ++c) {
    for (const auto& z : latents) {
      const auto plane = int64_t(z.size()) / channels;
      all.insert(all.end(), z.begin() + c * plane, z.begin() + (c + 1) * plane);
    }
  }
  return all;
}

}  // namespace zt::testing
