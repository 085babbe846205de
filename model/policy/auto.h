// Chooses among the other methods by measuring them: for the very shape, on this machine, with the clip's own queries and keys.
#pragma once

#include <functional>

#include "model/policy/methods.h"

namespace zt {

struct AutoRule {
  double recall = 0.95;                 // what a method must keep: mean over rows and heads of a layer
  std::vector<std::string> candidates;  // SPECs
  std::function<double()> now;          // seconds, of any origin
};

// In the first step and at each further quarter of a run, every layer is looked at once: the candidates that are faster than
// dense attention, fastest first, until one keeps enough. A layer whose measured recall falls below the mark in between
// (observe) goes back to dense until the next look. Nothing slower than dense is ever chosen.
Result<std::shared_ptr<AttentionPolicy>> make_auto(AutoRule rule);

}  // namespace zt
