#include "model/vae/network.h"

namespace zt {
namespace {

class BlockLoader {
 public:
  BlockLoader(WeightStore& store, DType compute, const ExecContext& ctx) : store_(store), compute_(compute), ctx_(ctx) {}

  Result<Tensor> gamma(const std::string& name, int64_t channels) {
    TensorView from = store_.tensors().at(name);
    ZT_ASSIGN_OR_RETURN(Tensor to, ctx_.arena->make(DType::f32, {channels}));
    convert_floats(from.data, from.dtype, to.data(), DType::f32, channels);
    store_.drop(from);
    return to;
  }

  // `first` and d.out: the rows of the weight to take.
  Result<std::unique_ptr<PackedConv>> conv(const std::string& name, ConvDesc d, int64_t first = 0) {
    TensorView weight = store_.tensors().at(name + ".weight"), bias = store_.tensors().at(name + ".bias");
    d.compute = compute_;
    auto packed = pack_conv(d, weight.slice(0, first, d.out), bias.slice(0, first, d.out), ctx_);
    store_.drop(weight);
    store_.drop(bias);
    return packed;
  }

  ConvDesc causal(int64_t in, int64_t out) const { return {.in = in, .out = out, .kt = 3, .result = compute_}; }
  ConvDesc spatial(int64_t in, int64_t out, ConvSpace space) const {
    return {.in = in, .out = out, .space = space, .result = compute_};
  }
  ConvDesc temporal(int64_t channels) const {
    return {.in = channels, .out = channels, .kt = 3, .kh = 1, .kw = 1, .result = compute_};
  }

 private:
  WeightStore& store_;
  DType compute_;
  const ExecContext& ctx_;
};

}  // namespace

Result<std::unique_ptr<PackedLinear>> load_pointwise(const std::string& name, int64_t in, int64_t out, int64_t rows, DType compute,
                                                     WeightStore& store, const ExecContext& ctx) {
  TensorView weight = store.tensors().at(name + ".weight"), bias = store.tensors().at(name + ".bias");
  LinearRows part{weight.reshape({out, in}).slice(0, 0, rows), bias.slice(0, 0, rows)};
  auto packed = pack_linear({.in = in, .out = rows, .compute = compute}, {&part, 1}, ctx);
  store.drop(weight);
  store.drop(bias);
  return packed;
}

Result<VaeBlock> load_block(const VaeLayer& l, WeightStore& store, DType compute, const ExecContext& ctx) {
  BlockLoader from(store, compute, ctx);
  VaeBlock b;
  b.layer = l;
  switch (l.kind) {
    case VaeLayerKind::conv_in: {
      ZT_ASSIGN_OR_RETURN(b.conv[0], from.conv(l.name, from.causal(l.in, l.out)));
      break;
    }
    case VaeLayerKind::res: {
      ConvDesc second = from.causal(l.out, l.out);
      second.accumulate = true;
      ZT_ASSIGN_OR_RETURN(b.gamma[0], from.gamma(l.name + ".norm1.gamma", l.in));
      ZT_ASSIGN_OR_RETURN(b.conv[0], from.conv(l.name + ".conv1", from.causal(l.in, l.out)));
      ZT_ASSIGN_OR_RETURN(b.gamma[1], from.gamma(l.name + ".norm2.gamma", l.out));
      ZT_ASSIGN_OR_RETURN(b.conv[1], from.conv(l.name + ".conv2", second));
      if (l.in != l.out) {
        ZT_ASSIGN_OR_RETURN(b.linear[0], load_pointwise(l.name + ".conv_shortcut", l.in, l.out, l.out, compute, store, ctx));
      }
      break;
    }
    case VaeLayerKind::attention: {
      ZT_ASSIGN_OR_RETURN(b.gamma[0], from.gamma(l.name + ".norm.gamma", l.in));
      ZT_ASSIGN_OR_RETURN(b.linear[0], load_pointwise(l.name + ".to_qkv", l.in, 3 * l.in, 3 * l.in, compute, store, ctx));
      ZT_ASSIGN_OR_RETURN(b.linear[1], load_pointwise(l.name + ".proj", l.in, l.in, l.in, compute, store, ctx));
      break;
    }
    case VaeLayerKind::up3d: {
      // Two halves, so that each makes a whole frame: the first C outputs are the even frame, the others the odd one.
      ZT_ASSIGN_OR_RETURN(b.conv[1], from.conv(l.name + ".time_conv", from.temporal(l.in), 0));
      ZT_ASSIGN_OR_RETURN(b.conv[2], from.conv(l.name + ".time_conv", from.temporal(l.in), l.in));
      [[fallthrough]];
    }
    case VaeLayerKind::up2d: {
      ZT_ASSIGN_OR_RETURN(b.conv[0], from.conv(l.name + ".resample.1", from.spatial(l.in, l.out, ConvSpace::up2_nearest)));
      break;
    }
    case VaeLayerKind::down3d: {
      ZT_ASSIGN_OR_RETURN(b.conv[1], from.conv(l.name + ".time_conv", from.temporal(l.out)));
      [[fallthrough]];
    }
    case VaeLayerKind::down2d: {
      ZT_ASSIGN_OR_RETURN(b.conv[0], from.conv(l.name + ".resample.1", from.spatial(l.in, l.out, ConvSpace::down2)));
      break;
    }
    case VaeLayerKind::head: {
      ConvDesc last = from.causal(l.in, l.out);
      last.result = DType::f32;
      ZT_ASSIGN_OR_RETURN(b.gamma[0], from.gamma(l.name + ".norm_out.gamma", l.in));
      ZT_ASSIGN_OR_RETURN(b.conv[0], from.conv(l.name + ".conv_out", last));
      break;
    }
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
