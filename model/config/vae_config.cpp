#include "model/config/config.h"
#include "model/config/config_reader.h"

namespace zt {
namespace {

// Wan2.1 latents (diffusers autoencoder_kl_wan.py).
const std::vector<float> kMean = {-0.7571f, -0.7089f, -0.9113f, 0.1075f,  -0.1745f, 0.9653f,  -0.1517f, 1.5508f,
                                  0.4134f,  -0.0715f, 0.5517f,  -0.3632f, -0.1922f, -0.9497f, 0.2503f,  -0.2921f};
const std::vector<float> kStd = {2.8184f, 1.4541f, 2.3275f, 2.6558f, 1.2196f, 1.7708f, 2.6052f, 2.0743f,
                                 3.2687f, 2.1526f, 2.8652f, 1.5579f, 1.6382f, 1.1253f, 2.8251f, 1.9160f};

}  // namespace

int64_t VaeConfig::temporal_factor() const {
  int64_t f = 1;
  for (bool down : temporal_downsample) f *= down ? 2 : 1;
  return f;
}

Result<VaeConfig> read_vae_config(const std::string& file) {
  ZT_ASSIGN_OR_RETURN(ConfigReader r, ConfigReader::open(file));
  VaeConfig c;
  r.one_of("_class_name", "AutoencoderKLWan", {"AutoencoderKLWan"});
  if (r.boolean("is_residual", false)) r.refuse("is_residual", "is true: the Wan2.2 VAE is not supported");
  r.must_be_unset("attn_scales", "attention inside the VAE's blocks is not supported");
  if (r.has("patch_size") && r.integer("patch_size", 1, 1, 64) != 1)
    r.refuse("patch_size", "is set: the Wan2.2 VAE is not supported");
  if (r.integer("in_channels", 3, 1, 4096) != 3) r.refuse("in_channels", "is not 3");
  if (r.integer("out_channels", 3, 1, 4096) != 3) r.refuse("out_channels", "is not 3");
  c.base_dim = r.integer("base_dim", 96, 1, 4096);
  if (r.has("decoder_base_dim")) c.decoder_base_dim = r.integer("decoder_base_dim", 0, 1, 4096);
  c.z_dim = r.integer("z_dim", 16, 1, 1024);
  c.dim_mult = r.integers("dim_mult", {1, 2, 4, 4}, 6, 1, 64);
  c.num_res_blocks = r.integer("num_res_blocks", 2, 1, 64);
  c.temporal_downsample = r.booleans("temperal_downsample", {false, true, true}, 5);
  c.latents_mean = r.reals("latents_mean", kMean, 1024);
  c.latents_std = r.reals("latents_std", kStd, 1024);
  if (c.dim_mult.empty()) {
    r.refuse("dim_mult", "is empty");
  } else if (c.temporal_downsample.size() != c.dim_mult.size() - 1) {
    r.refuse("temperal_downsample",
             fmt::format("has {} entries, dim_mult asks for {}", c.temporal_downsample.size(), c.dim_mult.size() - 1));
  }
  for (const auto* list : {&c.latents_mean, &c.latents_std}) {
    const char* key = list == &c.latents_mean ? "latents_mean" : "latents_std";
    if (int64_t(list->size()) != c.z_dim) r.refuse(key, fmt::format("has {} entries, z_dim is {}", list->size(), c.z_dim));
  }
  for (float s : c.latents_std) {
    if (!(s > 0)) r.refuse("latents_std", "has an entry that is not positive");
  }
  if (!r.status().ok()) return r.status();
  return c;
}

}  // namespace zt
