// The convolutions and linear layers inside a layer of the VAE, so that loading and the memory estimate agree on them.
#pragma once

#include <vector>

#include "kernels/api/conv.h"
#include "kernels/api/linear.h"
#include "model/vae/layers.h"

namespace zt {

struct ConvPart {
  std::string name;     // of weight and bias, without the ending
  ConvDesc desc;
  int64_t first = 0;    // row of the weight the part begins with
  int64_t shrink = 1;   // its input is this much smaller than the layer's, in each direction
};
struct AttentionLinear {
  std::string name;
  LinearDesc desc;
};

std::vector<ConvPart> conv_parts(const VaeLayer& layer, DType compute);
std::vector<AttentionLinear> linear_parts(const VaeLayer& layer, DType compute);

struct GammaPart {
  std::string name;
  int64_t channels;
};
std::vector<GammaPart> gamma_parts(const VaeLayer& layer);

}  // namespace zt
