#include "model/vae/parts.h"

namespace zt {

std::vector<ConvPart> conv_parts(const VaeLayer& l, DType compute) {
  auto causal = [&](int64_t in, int64_t out) { return ConvDesc{.in = in, .out = out, .kt = 3, .compute = compute, .result = compute}; };
  auto spatial = [&](ConvSpace space) {
    return ConvDesc{.in = l.in, .out = l.out, .space = space, .compute = compute, .result = compute};
  };
  auto temporal = [&](int64_t channels) {
    return ConvDesc{.in = channels, .out = channels, .kt = 3, .kh = 1, .kw = 1, .compute = compute, .result = compute};
  };
  switch (l.kind) {
    case VaeLayerKind::conv_in: return {{l.name, causal(l.in, l.out)}};
    case VaeLayerKind::res: {
      ConvDesc second = causal(l.out, l.out);
      second.accumulate = true;
      return {{l.name + ".conv1", causal(l.in, l.out)}, {l.name + ".conv2", second}};
    }
    case VaeLayerKind::attention: return {};
    case VaeLayerKind::up2d: return {{l.name + ".resample.1", spatial(ConvSpace::up2_nearest)}};
    case VaeLayerKind::up3d:
      // The time convolution in two halves, so that each makes a whole frame: its first C outputs are the even one.
      return {{l.name + ".resample.1", spatial(ConvSpace::up2_nearest)},
              {l.name + ".time_conv", temporal(l.in), 0},
              {l.name + ".time_conv", temporal(l.in), l.in}};
    case VaeLayerKind::down2d: return {{l.name + ".resample.1", spatial(ConvSpace::down2)}};
    case VaeLayerKind::down3d:
      return {{l.name + ".resample.1", spatial(ConvSpace::down2)}, {l.name + ".time_conv", temporal(l.out), 0, 2}};
    case VaeLayerKind::head: {
      ConvDesc last = causal(l.in, l.out);
      last.result = DType::f32;
      return {{l.name + ".conv_out", last}};
    }
  }
  return {};
}

std::vector<AttentionLinear> linear_parts(const VaeLayer& l, DType compute) {
  auto desc = [&](int64_t out) { return LinearDesc{.in = l.in, .out = out, .compute = compute}; };
  if (l.kind == VaeLayerKind::attention) return {{l.name + ".to_qkv", desc(3 * l.in)}, {l.name + ".proj", desc(l.in)}};
  if (l.kind == VaeLayerKind::res && l.in != l.out) return {{l.name + ".conv_shortcut", desc(l.out)}};
  return {};
}

std::vector<GammaPart> gamma_parts(const VaeLayer& l) {
  if (l.kind == VaeLayerKind::res) return {{l.name + ".norm1.gamma", l.in}, {l.name + ".norm2.gamma", l.out}};
  if (l.kind == VaeLayerKind::attention) return {{l.name + ".norm.gamma", l.in}};
  if (l.kind == VaeLayerKind::head) return {{l.name + ".norm_out.gamma", l.in}};
  return {};
}

}  // namespace zt
