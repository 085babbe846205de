// Claims the tensors of one half of the VAE from a store that usually holds both.
#pragma once

#include "model/io/weights.h"
#include "model/vae/layers.h"

namespace zt {

// kBadModel when the configuration gives a layer no channels.
Status check_vae_config(const VaeConfig& config);
// Asks for every tensor of `wanted`; those of `other` may stand in the file or not. Whatever else is there, is missing or
// has another shape is one kBadModel list.
Status claim_vae_weights(WeightStore& store, const std::vector<VaeTensor>& wanted, const std::vector<VaeTensor>& other);

}  // namespace zt
