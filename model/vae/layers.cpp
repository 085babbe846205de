#include "model/vae/layers.h"

namespace zt {
namespace {

constexpr int64_t kRgb = 3;

void add_mid(std::vector<VaeLayer>& layers, const std::string& half, int64_t width) {
  layers.push_back({VaeLayerKind::res, half + ".mid_block.resnets.0", width, width});
  layers.push_back({VaeLayerKind::attention, half + ".mid_block.attentions.0", width, width});
  layers.push_back({VaeLayerKind::res, half + ".mid_block.resnets.1", width, width});
}

void add_weight(std::vector<VaeTensor>& list, const std::string& name, Shape weight) {
  list.push_back({name + ".weight", weight});
  list.push_back({name + ".bias", {weight[0]}});
}

void add_tensors(std::vector<VaeTensor>& list, const VaeLayer& l) {
  switch (l.kind) {
    case VaeLayerKind::conv_in: add_weight(list, l.name, {l.out, l.in, 3, 3, 3}); break;
    case VaeLayerKind::res:
      list.push_back({l.name + ".norm1.gamma", {l.in, 1, 1, 1}});
      add_weight(list, l.name + ".conv1", {l.out, l.in, 3, 3, 3});
      list.push_back({l.name + ".norm2.gamma", {l.out, 1, 1, 1}});
      add_weight(list, l.name + ".conv2", {l.out, l.out, 3, 3, 3});
      if (l.in != l.out) add_weight(list, l.name + ".conv_shortcut", {l.out, l.in, 1, 1, 1});
      break;
    case VaeLayerKind::attention:
      list.push_back({l.name + ".norm.gamma", {l.in, 1, 1}});
      add_weight(list, l.name + ".to_qkv", {3 * l.in, l.in, 1, 1});
      add_weight(list, l.name + ".proj", {l.in, l.in, 1, 1});
      break;
    case VaeLayerKind::up3d: add_weight(list, l.name + ".time_conv", {2 * l.in, l.in, 3, 1, 1}); [[fallthrough]];
    case VaeLayerKind::up2d:
    case VaeLayerKind::down2d: add_weight(list, l.name + ".resample.1", {l.out, l.in, 3, 3}); break;
    case VaeLayerKind::down3d:
      add_weight(list, l.name + ".resample.1", {l.out, l.in, 3, 3});
      add_weight(list, l.name + ".time_conv", {l.out, l.out, 3, 1, 1});
      break;
    case VaeLayerKind::head:
      list.push_back({l.name + ".norm_out.gamma", {l.in, 1, 1, 1}});
      add_weight(list, l.name + ".conv_out", {l.out, l.in, 3, 3, 3});
      break;
  }
}

}  // namespace

std::vector<VaeLayer> vae_decoder_layers(const VaeConfig& c) {
  const size_t blocks = c.dim_mult.size(), flags = c.temporal_downsample.size();
  const int64_t base = c.decoder_base_dim ? c.decoder_base_dim : c.base_dim;
  std::vector<VaeLayer> layers;
  int64_t width = base * c.dim_mult.back();
  layers.push_back({VaeLayerKind::conv_in, "decoder.conv_in", c.z_dim, width});
  add_mid(layers, "decoder", width);
  for (size_t i = 0; i < blocks; ++i) {
    const std::string block = fmt::format("decoder.up_blocks.{}", i);
    const int64_t out = base * c.dim_mult[blocks - 1 - i];
    for (int64_t r = 0; r <= c.num_res_blocks; ++r, width = out) {
      layers.push_back({VaeLayerKind::res, fmt::format("{}.resnets.{}", block, r), width, out});
    }
    if (i + 1 == blocks) break;
    bool temporal = i < flags && c.temporal_downsample[flags - 1 - i];
    width = out / 2;
    layers.push_back({temporal ? VaeLayerKind::up3d : VaeLayerKind::up2d, block + ".upsamplers.0", out, width});
  }
  layers.push_back({VaeLayerKind::head, "decoder", width, kRgb});
  return layers;
}

std::vector<VaeLayer> vae_encoder_layers(const VaeConfig& c) {
  const size_t blocks = c.dim_mult.size();
  std::vector<VaeLayer> layers;
  int64_t width = c.base_dim, flat = 0;
  layers.push_back({VaeLayerKind::conv_in, "encoder.conv_in", kRgb, width});
  for (size_t i = 0; i < blocks; ++i) {
    const int64_t out = c.base_dim * c.dim_mult[i];
    for (int64_t r = 0; r < c.num_res_blocks; ++r, width = out) {
      layers.push_back({VaeLayerKind::res, fmt::format("encoder.down_blocks.{}", flat++), width, out});
    }
    if (i + 1 == blocks) break;
    bool temporal = i < c.temporal_downsample.size() && c.temporal_downsample[i];
    layers.push_back({temporal ? VaeLayerKind::down3d : VaeLayerKind::down2d, fmt::format("encoder.down_blocks.{}", flat++), out, out});
    width = out;
  }
  add_mid(layers, "encoder", width);
  layers.push_back({VaeLayerKind::head, "encoder", width, 2 * c.z_dim});
  return layers;
}

std::vector<VaeTensor> vae_decoder_tensors(const VaeConfig& c) {
  std::vector<VaeTensor> list;
  add_weight(list, "post_quant_conv", {c.z_dim, c.z_dim, 1, 1, 1});
  for (const VaeLayer& l : vae_decoder_layers(c)) add_tensors(list, l);
  return list;
}

std::vector<VaeTensor> vae_encoder_tensors(const VaeConfig& c) {
  std::vector<VaeTensor> list;
  add_weight(list, "quant_conv", {2 * c.z_dim, 2 * c.z_dim, 1, 1, 1});
  for (const VaeLayer& l : vae_encoder_layers(c)) add_tensors(list, l);
  return list;
}

}  // namespace zt
