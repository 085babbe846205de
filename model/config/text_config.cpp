#include "model/config/config.h"
#include "model/config/config_reader.h"

namespace zt {
namespace {

// gated-gelu is the tanh form (transformers names it gelu_new).
bool read_activation(ConfigReader& r, std::string_view fallback) {
  std::string proj = r.one_of("feed_forward_proj", fallback, {"gated-gelu", "relu"});
  return proj == "gated-gelu";
}

}  // namespace

Result<TextConfig> read_text_config(const std::string& file) {
  ZT_ASSIGN_OR_RETURN(ConfigReader r, ConfigReader::open(file));
  TextConfig c;
  std::string type = r.one_of("model_type", "umt5", {"umt5", "t5"});
  c.bias_per_layer = type == "umt5";
  bool umt5 = c.bias_per_layer;
  // Defaults of transformers' UMT5Config and T5Config.
  c.vocab = r.integer("vocab_size", umt5 ? 250112 : 32128, 1, 1 << 24);
  c.d_model = r.integer("d_model", 512, 1, 1 << 16);
  c.d_kv = r.integer("d_kv", 64, 1, 1024);
  c.d_ff = r.integer("d_ff", umt5 ? 1024 : 2048, 1, 1 << 18);
  c.layers = r.integer("num_layers", umt5 ? 8 : 6, 1, 512);
  c.heads = r.integer("num_heads", umt5 ? 6 : 8, 1, 1024);
  c.buckets = r.integer("relative_attention_num_buckets", 32, 4, 65536);
  c.max_distance = r.integer("relative_attention_max_distance", 128, 2, 1 << 20);
  c.eps = float(r.real("layer_norm_epsilon", 1e-6, 1e-12, 1));
  c.gated_gelu = read_activation(r, umt5 ? "gated-gelu" : "relu");
  if (c.heads * c.d_kv > (1 << 17))
    r.refuse("num_heads", fmt::format("times d_kv is {}, more than {}", c.heads * c.d_kv, 1 << 17));
  // Half of the buckets are for one direction, half of those for single distances; the rest grow up to max_distance.
  if (c.max_distance <= c.buckets / 2 / 2) {
    r.refuse("relative_attention_max_distance", fmt::format("is {}, must be above a quarter of the buckets", c.max_distance));
  }
  if (!r.status().ok()) return r.status();
  return c;
}

}  // namespace zt
