#include "model/config/config.h"
#include "model/config/config_reader.h"

namespace zt {
namespace {

// Far above any published model (5120 wide), far below what would overflow a product of three.
constexpr int64_t kMaxWidth = 1 << 17;
constexpr int64_t kMaxFfn = 1 << 19;
constexpr int64_t kMaxLayers = 512;
constexpr int64_t kMaxChannels = 4096;

void check(ConfigReader& r, const TransformerConfig& c) {
  if (c.head_dim % 2 != 0) r.refuse("attention_head_dim", fmt::format("is {}, must be even", c.head_dim));
  if (c.dim() > kMaxWidth) r.refuse("attention_head_dim", fmt::format("makes a width of {}, more than {}", c.dim(), kMaxWidth));
  if (c.freq_dim % 2 != 0) r.refuse("freq_dim", fmt::format("is {}, must be even", c.freq_dim));
  if (c.patch_t != 1 || c.patch_h != 2 || c.patch_w != 2) {
    r.refuse("patch_size", fmt::format("is [{}, {}, {}], supported is [1, 2, 2]", c.patch_t, c.patch_h, c.patch_w));
  }
}

void read_patch(ConfigReader& r, TransformerConfig& c) {
  auto patch = r.integers("patch_size", {1, 2, 2}, 3, 1, 64);
  if (patch.size() != 3) return r.refuse("patch_size", "does not have 3 entries");
  c.patch_t = patch[0], c.patch_h = patch[1], c.patch_w = patch[2];
}

// Config of the original repository: WanModel with dim, num_heads, in_dim, out_dim.
TransformerConfig read_original(ConfigReader& r) {
  TransformerConfig c;
  std::string type = r.text("model_type", "t2v");
  if (type != "t2v") r.refuse("model_type", fmt::format("is '{}', supported is t2v (text to video)", type));
  int64_t dim = r.integer("dim", 2048, 6, kMaxWidth);
  c.heads = r.integer("num_heads", 16, 1, 1024);
  c.layers = r.integer("num_layers", 32, 1, kMaxLayers);
  c.ffn_dim = r.integer("ffn_dim", 8192, 1, kMaxFfn);
  c.in_channels = r.integer("in_dim", 16, 1, kMaxChannels);
  c.out_channels = r.integer("out_dim", 16, 1, kMaxChannels);
  c.text_dim = r.integer("text_dim", 4096, 1, kMaxWidth);
  c.freq_dim = r.integer("freq_dim", 256, 2, 8192);
  c.eps = float(r.real("eps", 1e-6, 1e-12, 1));
  c.cross_attn_norm = r.boolean("cross_attn_norm", true);
  if (!r.boolean("qk_norm", true)) r.refuse("qk_norm", "is false: a network without q and k norms is not supported");
  for (int64_t w : r.integers("window_size", {-1, -1}, 2, -1, 1 << 20)) {
    if (w != -1) r.refuse("window_size", "is not [-1, -1] (global attention)");
  }
  read_patch(r, c);
  if (dim % c.heads != 0) {
    r.refuse("num_heads", fmt::format("is {}, does not divide dim {}", c.heads, dim));
  } else {
    c.head_dim = dim / c.heads;
    if (c.head_dim < 6) r.refuse("num_heads", fmt::format("makes heads of size {}, the smallest is 6", c.head_dim));
  }
  return c;
}

TransformerConfig read_diffusers(ConfigReader& r) {
  TransformerConfig c;
  c.heads = r.integer("num_attention_heads", 40, 1, 1024);
  c.head_dim = r.integer("attention_head_dim", 128, 6, 1024);  // 6: one rotary pair per axis
  c.layers = r.integer("num_layers", 40, 1, kMaxLayers);
  c.ffn_dim = r.integer("ffn_dim", 13824, 1, kMaxFfn);
  c.in_channels = r.integer("in_channels", 16, 1, kMaxChannels);
  c.out_channels = r.has("out_channels") ? r.integer("out_channels", 16, 1, kMaxChannels) : c.in_channels;
  c.text_dim = r.integer("text_dim", 4096, 1, kMaxWidth);
  c.freq_dim = r.integer("freq_dim", 256, 2, 8192);
  c.eps = float(r.real("eps", 1e-6, 1e-12, 1));
  c.cross_attn_norm = r.boolean("cross_attn_norm", true);
  r.one_of("qk_norm", "rms_norm_across_heads", {"rms_norm_across_heads"});
  r.must_be_unset("image_dim", "image-to-video networks are not supported");
  r.must_be_unset("added_kv_proj_dim", "image-to-video networks are not supported");
  r.must_be_unset("pos_embed_seq_len", "first-and-last-frame networks are not supported");
  r.integer("rope_max_seq_len", 1024, 1, 1 << 20);
  read_patch(r, c);
  return c;
}

}  // namespace

int64_t TransformerConfig::parameters() const {
  int64_t d = dim(), patch = patch_t * patch_h * patch_w;
  auto linear = [](int64_t in, int64_t out) { return in * out + out; };
  int64_t embed =
      linear(in_channels * patch, d) + linear(text_dim, d) + linear(d, d) + linear(freq_dim, d) + linear(d, d) + linear(d, 6 * d);
  int64_t attention = 4 * linear(d, d) + 2 * d;
  int64_t block = 2 * attention + (cross_attn_norm ? 2 * d : 0) + linear(d, ffn_dim) + linear(ffn_dim, d) + 6 * d;
  return embed + layers * block + 2 * d + linear(d, out_channels * patch);
}

Result<TransformerConfig> read_transformer_config(const std::string& file) {
  ZT_ASSIGN_OR_RETURN(ConfigReader r, ConfigReader::open(file));
  bool original = r.has("dim") && !r.has("num_attention_heads");
  std::string name =
      r.one_of("_class_name", original ? "WanModel" : "WanTransformer3DModel", {"WanTransformer3DModel", "WanModel"});
  TransformerConfig c = original || name == "WanModel" ? read_original(r) : read_diffusers(r);
  if (r.status().ok()) check(r, c);
  if (!r.status().ok()) return r.status();
  return c;
}

}  // namespace zt
