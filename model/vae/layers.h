// The two halves of the VAE as lists of layers, made from the configuration alone. Loading, the memory plan and the run
// all walk the same list, so they cannot disagree. Widths follow diffusers autoencoder_kl_wan.py to the letter: the
// decoder's upsamplers halve the width with integer division, and the next block starts from half of what came before.
#pragma once

#include <string>
#include <vector>

#include "kernels/core/tensor.h"
#include "model/config/config.h"

namespace zt {

enum class VaeLayerKind : uint8_t {
  conv_in,    // causal 3x3x3
  res,        // norm, SiLU, causal 3x3x3, twice, plus the input (through a 1x1x1 where widths differ)
  attention,  // per frame, one head over all pixels
  up2d,       // nearest x2 and 3x3
  up3d,       // frames 1..: causal 3x1x1 that makes two frames of one; then as up2d
  down2d,     // 3x3 with stride 2
  down3d,     // as down2d, then frames 1..: 3x1x1 with stride 2 over the whole sequence
  head        // norm, SiLU, causal 3x3x3 to f32
};

struct VaeLayer {
  VaeLayerKind kind;
  std::string name;  // of the module; of the half ("decoder") for the head
  int64_t in = 0, out = 0;
};

struct VaeTensor {
  std::string name;
  Shape shape;
};

std::vector<VaeLayer> vae_decoder_layers(const VaeConfig& config);
std::vector<VaeLayer> vae_encoder_layers(const VaeConfig& config);

// All tensors of a half, quant_conv or post_quant_conv included.
std::vector<VaeTensor> vae_decoder_tensors(const VaeConfig& config);
std::vector<VaeTensor> vae_encoder_tensors(const VaeConfig& config);

}  // namespace zt
