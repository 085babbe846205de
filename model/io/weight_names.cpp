// Original Wan names to diffusers names (diffusers scripts/convert_wan_to_diffusers.py; transformers UMT5 names).
#include <array>
#include <optional>

#include "model/io/weights.h"

namespace zt {
namespace {

using Tensors = std::map<std::string, TensorView, std::less<>>;
struct Pair {
  std::string_view from, to;
};

bool starts_with(std::string_view s, std::string_view p) { return s.substr(0, p.size()) == p; }

// name = from + rest becomes to + rest, by the first pair that fits.
template <size_t N>
std::optional<std::string> swap_prefix(std::string_view name, const std::array<Pair, N>& pairs) {
  for (const Pair& p : pairs) {
    if (starts_with(name, p.from)) return std::string(p.to) + std::string(name.substr(p.from.size()));
  }
  return std::nullopt;
}

// Splits "<prefix><number>.<rest>"; nullopt when the name is not of that form.
struct Numbered {
  int64_t number;
  std::string_view rest;
};
std::optional<Numbered> numbered(std::string_view name, std::string_view prefix) {
  if (!starts_with(name, prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  size_t dot = name.find('.');
  if (dot == 0 || dot == std::string_view::npos || dot > 6) return std::nullopt;
  int64_t n = 0;
  for (char c : name.substr(0, dot)) {
    if (c < '0' || c > '9') return std::nullopt;
    n = n * 10 + (c - '0');
  }
  return Numbered{n, name.substr(dot + 1)};
}

// New names for all tensors. A name that is taken already keeps its old one and is reported as extra later.
template <class F>
void rename_all(Tensors& tensors, F&& name_of) {
  Tensors out;
  std::vector<std::pair<std::string, TensorView>> taken;
  for (const auto& [name, view] : tensors) {
    if (!out.emplace(name_of(name), view).second) taken.emplace_back(name, view);
  }
  for (auto& [name, view] : taken) out.emplace(name, view);
  tensors = std::move(out);
}

void strip_prefix(Tensors& tensors, std::string_view prefix) {
  rename_all(tensors, [&](const std::string& n) { return starts_with(n, prefix) ? n.substr(prefix.size()) : n; });
}

bool any(const Tensors& tensors, std::string_view part) {
  for (const auto& [name, view] : tensors) {
    if (name.find(part) != std::string::npos) return true;
  }
  return false;
}

constexpr std::array<Pair, 8> kTransformerTop = {{
    {"text_embedding.0.", "condition_embedder.text_embedder.linear_1."},
    {"text_embedding.2.", "condition_embedder.text_embedder.linear_2."},
    {"time_embedding.0.", "condition_embedder.time_embedder.linear_1."},
    {"time_embedding.2.", "condition_embedder.time_embedder.linear_2."},
    {"time_projection.1.", "condition_embedder.time_proj."},
    {"head.modulation", "scale_shift_table"},
    {"head.head.", "proj_out."},
    {"img_emb.", "condition_embedder.image_embedder."},
}};
// norm2 and norm3 trade places: the affine norm before cross-attention is norm3 originally and norm2 in diffusers.
constexpr std::array<Pair, 17> kBlock = {{
    {"self_attn.q.", "attn1.to_q."},
    {"self_attn.k.", "attn1.to_k."},
    {"self_attn.v.", "attn1.to_v."},
    {"self_attn.o.", "attn1.to_out.0."},
    {"self_attn.norm_", "attn1.norm_"},
    {"cross_attn.q.", "attn2.to_q."},
    {"cross_attn.k.", "attn2.to_k."},
    {"cross_attn.v.", "attn2.to_v."},
    {"cross_attn.o.", "attn2.to_out.0."},
    {"cross_attn.k_img.", "attn2.add_k_proj."},
    {"cross_attn.v_img.", "attn2.add_v_proj."},
    {"cross_attn.norm_", "attn2.norm_"},
    {"norm3.", "norm2."},
    {"norm2.", "norm3."},
    {"ffn.0.", "ffn.net.0.proj."},
    {"ffn.2.", "ffn.net.2."},
    {"modulation", "scale_shift_table"},
}};

std::string transformer_name(std::string_view name) {
  if (auto n = numbered(name, "blocks.")) {
    auto rest = swap_prefix(n->rest, kBlock);
    return rest ? fmt::format("blocks.{}.{}", n->number, *rest) : std::string(name);
  }
  return swap_prefix(name, kTransformerTop).value_or(std::string(name));
}

constexpr std::array<Pair, 8> kResnet = {{
    {"residual.0.", "norm1."},
    {"residual.2.", "conv1."},
    {"residual.3.", "norm2."},
    {"residual.6.", "conv2."},
    {"shortcut.", "conv_shortcut."},
    {"resample.", "resample."},
    {"time_conv.", "time_conv."},
    {"downsample.", "downsample."},
}};
constexpr std::array<Pair, 4> kVaeEnds = {{
    {"conv1.", "conv_in."},
    {"head.0.", "norm_out."},
    {"head.2.", "conv_out."},
    {"middle.1.", "mid_block.attentions.0."},
}};

// Where the flat list decoder.upsamples.K stands in diffusers' blocks: each resample ends a block.
std::map<int64_t, std::string> up_block_names(const Tensors& tensors) {
  std::map<int64_t, bool> resamples;  // K -> it is a resample
  for (const auto& [name, view] : tensors) {
    if (auto n = numbered(name, "decoder.upsamples.")) {
      resamples[n->number] |= starts_with(n->rest, "resample.") || starts_with(n->rest, "time_conv.");
    }
  }
  std::map<int64_t, std::string> names;
  int64_t block = 0, resnet = 0;
  for (const auto& [k, resample] : resamples) {
    if (resample) {
      names[k] = fmt::format("decoder.up_blocks.{}.upsamplers.0.", block++);
      resnet = 0;
    } else {
      names[k] = fmt::format("decoder.up_blocks.{}.resnets.{}.", block, resnet++);
    }
  }
  return names;
}

std::string vae_name(std::string_view name, const std::map<int64_t, std::string>& up_blocks) {
  auto resnet = [](std::string_view rest) { return swap_prefix(rest, kResnet).value_or(std::string(rest)); };
  if (starts_with(name, "conv1.")) return "quant_conv." + std::string(name.substr(6));
  if (starts_with(name, "conv2.")) return "post_quant_conv." + std::string(name.substr(6));
  if (auto n = numbered(name, "encoder.downsamples."))
    return fmt::format("encoder.down_blocks.{}.{}", n->number, resnet(n->rest));
  if (auto n = numbered(name, "decoder.upsamples.")) return up_blocks.at(n->number) + resnet(n->rest);
  for (std::string_view half : {"encoder.", "decoder."}) {
    if (!starts_with(name, half)) continue;
    std::string_view rest = name.substr(half.size());
    if (auto n = numbered(rest, "middle."); n && n->number != 1) {
      return fmt::format("{}mid_block.resnets.{}.{}", half, n->number == 0 ? 0 : 1, resnet(n->rest));
    }
    if (auto to = swap_prefix(rest, kVaeEnds)) return std::string(half) + *to;
  }
  return std::string(name);
}

constexpr std::array<Pair, 10> kTextLayer = {{
    {"norm1.", "layer.0.layer_norm."},
    {"attn.q.", "layer.0.SelfAttention.q."},
    {"attn.k.", "layer.0.SelfAttention.k."},
    {"attn.v.", "layer.0.SelfAttention.v."},
    {"attn.o.", "layer.0.SelfAttention.o."},
    {"pos_embedding.embedding.", "layer.0.SelfAttention.relative_attention_bias."},
    {"norm2.", "layer.1.layer_norm."},
    {"ffn.gate.0.", "layer.1.DenseReluDense.wi_0."},
    {"ffn.fc1.", "layer.1.DenseReluDense.wi_1."},
    {"ffn.fc2.", "layer.1.DenseReluDense.wo."},
}};

std::string text_name(std::string_view name) {
  if (name == "token_embedding.weight") return "shared.weight";
  if (name == "norm.weight") return "encoder.final_layer_norm.weight";
  if (auto n = numbered(name, "blocks.")) {
    if (auto rest = swap_prefix(n->rest, kTextLayer)) return fmt::format("encoder.block.{}.{}", n->number, *rest);
  }
  return std::string(name);
}

}  // namespace

void WeightStore::rename_original_transformer() {
  strip_prefix(tensors_, "model.diffusion_model.");
  // By a name that does not outlive the renaming: proj_l stays under self_attn, and twice would let the norms trade places again.
  if (any(tensors_, ".self_attn.q.")) rename_all(tensors_, transformer_name);
  // A norm of the image branch that diffusers declares and never uses.
  for (const auto& [name, view] : tensors_) {
    if (name.find(".norm_added_q.") != std::string::npos) ignored_.insert(name);
  }
}

void WeightStore::rename_original_vae() {
  if (!any(tensors_, "coder.middle.")) return;
  auto up_blocks = up_block_names(tensors_);
  rename_all(tensors_, [&](const std::string& n) { return vae_name(n, up_blocks); });
}

void WeightStore::rename_original_text() {
  strip_prefix(tensors_, "text_encoders.umt5xxl.transformer.");
  if (any(tensors_, "token_embedding.")) rename_all(tensors_, text_name);
  // The table is tied: either name may stand, or both.
  if (!has("shared.weight")) {
    auto it = tensors_.find("encoder.embed_tokens.weight");
    if (it != tensors_.end()) {
      tensors_.emplace("shared.weight", it->second);
      tensors_.erase(it);
    }
  }
  ignored_.insert("encoder.embed_tokens.weight");
  ignored_.insert("spiece_model");  // ComfyUI stores the tokenizer beside the weights
}

}  // namespace zt
