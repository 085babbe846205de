#include "kernels/api/transfer.h"
#include "model/vae/network.h"

namespace zt {

Result<std::unique_ptr<PackedLinear>> load_pointwise(const std::string& name, const LinearDesc& desc, WeightStore& store,
                                                     const ExecContext& ctx) {
  const TensorView weight = store.tensors().at(name + ".weight"), bias = store.tensors().at(name + ".bias");
  LinearRows rows{weight.reshape({weight.dim(0), desc.in}).slice(0, 0, desc.out), bias.slice(0, 0, desc.out)};
  auto packed = pack_linear(desc, {&rows, 1}, ctx);
  store.drop(weight);
  store.drop(bias);
  return packed;
}

Result<VaeBlock> load_block(const VaeLayer& layer, WeightStore& store, DType compute, const ExecContext& ctx) {
  VaeBlock b;
  b.layer = layer;
  size_t at = 0;
  for (const GammaPart& part : gamma_parts(layer)) {
    const TensorView from = store.tensors().at(part.name);
    ZT_ASSIGN_OR_RETURN(b.gamma[at++], to_device(from.reshape({part.channels}), DType::f32, {part.channels}, ctx));
    store.drop(from);
  }
  at = 0;
  for (const ConvPart& part : conv_parts(layer, compute)) {
    const TensorView weight = store.tensors().at(part.name + ".weight"), bias = store.tensors().at(part.name + ".bias");
    const int64_t rows = part.desc.out;
    ZT_ASSIGN_OR_RETURN(b.conv[at++], pack_conv(part.desc, weight.slice(0, part.first, rows), bias.slice(0, part.first, rows), ctx));
    store.drop(weight);
    store.drop(bias);
  }
  at = 0;
  for (const AttentionLinear& part : linear_parts(layer, compute)) {
    ZT_ASSIGN_OR_RETURN(b.linear[at++], load_pointwise(part.name, part.desc, store, ctx));
  }
  return b;
}

size_t VaeBlock::weight_bytes() const {
  size_t sum = 0;
  for (const Tensor& g : gamma) sum += g ? g.view().bytes() : 0;
  for (const auto& c : conv) sum += c ? c->bytes() : 0;
  for (const auto& l : linear) sum += l ? l->bytes() : 0;
  return sum;
}

}  // namespace zt
