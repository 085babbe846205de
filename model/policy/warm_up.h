// Dense steps and layers around any method: the prefix that every sparse method's authors keep dense.
#pragma once

#include "model/policy/parameters.h"

namespace zt {

// The parameters that every method takes: dense_steps, dense_last_steps, dense_layers.
const std::vector<PolicyParameter>& warm_up_parameters();

// The method itself when all three are 0.
std::shared_ptr<AttentionPolicy> with_warm_up(std::shared_ptr<AttentionPolicy> method, const Parameters& p);

}  // namespace zt
