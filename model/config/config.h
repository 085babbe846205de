// Hyper-parameters as the model folder states them (diffusers config.json files; original Wan config.json too).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/core/status.h"
#include "model/config/variant.h"

namespace zt {

// transformer/config.json: WanTransformer3DModel (or WanModel of the original repository).
struct TransformerConfig {
  int64_t heads = 12, head_dim = 128, layers = 30, ffn_dim = 8960;
  int64_t in_channels = 16, out_channels = 16, text_dim = 4096, freq_dim = 256;
  int64_t patch_t = 1, patch_h = 2, patch_w = 2;
  bool cross_attn_norm = true;
  float eps = 1e-6f;
  int64_t dim() const { return heads * head_dim; }
  int64_t parameters() const;
};

// vae/config.json: AutoencoderKLWan (z 16 family).
struct VaeConfig {
  int64_t base_dim = 96, z_dim = 16;
  int64_t decoder_base_dim = 0;  // 0 = base_dim
  std::vector<int64_t> dim_mult = {1, 2, 4, 4};
  int64_t num_res_blocks = 2;
  std::vector<bool> temporal_downsample = {false, true, true};
  std::vector<float> latents_mean, latents_std;  // [z_dim]
  int64_t spatial_factor() const { return int64_t(1) << (dim_mult.size() - 1); }
  int64_t temporal_factor() const;  // 2 per true of temporal_downsample
};

// text_encoder/config.json: UMT5EncoderModel.
struct TextConfig {
  int64_t vocab = 256384, d_model = 4096, d_ff = 10240, layers = 24, heads = 64, d_kv = 64;
  int64_t buckets = 32, max_distance = 128;
  float eps = 1e-6f;
  bool gated_gelu = true;
  bool bias_per_layer = true;  // UMT5; false for plain T5, where layer 0's table serves all
};

// scheduler/scheduler_config.json. flow_shift is the folder's; --flow-shift overrides it.
struct SchedulerConfig {
  std::string class_name = "UniPCMultistepScheduler";
  double flow_shift = 3.0;
  int64_t train_timesteps = 1000;
};

// What a model folder holds; paths are absolute or relative to the current folder as given. A variant has the parts and configs
// of its base.
struct ModelFolder {
  std::string root;
  std::optional<Variant> variant;
  std::string transformer, vae, text_encoder, tokenizer;  // folders
  TransformerConfig transformer_config;
  VaeConfig vae_config;
  TextConfig text_config;
  SchedulerConfig scheduler;
  int64_t max_text_tokens = 512;  // the pipeline's max_sequence_length
};

Result<TransformerConfig> read_transformer_config(const std::string& file);
Result<VaeConfig> read_vae_config(const std::string& file);
Result<TextConfig> read_text_config(const std::string& file);
Result<SchedulerConfig> read_scheduler_config(const std::string& file);

// Reads model_index.json and every config, checks that the parts fit together (text_dim = d_model, channels = z_dim,
// patch 1x2x2, rms_norm_across_heads, head_dim even and >= 6). A folder with variant.json is a variant and its base is read.
// Every refusal is kBadModel and names file and key.
Result<ModelFolder> open_model_folder(const std::string& root);

}  // namespace zt
