// Where a denoising stands between two steps, complete: whoever stores it can go on bit-exactly.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "model/dit/attend.h"
#include "model/sampling/sampler.h"

namespace zt {

struct DenoiseState {
  int64_t step = 0, steps = 0;  // `step` of `steps` are done
  TensorView latents;           // x after those steps, [C, T, H, W] f32; like the solver's, on the host
  std::vector<std::pair<std::string, TensorView>> solver;  // as Sampler::state names them
  std::string noise;            // Noise::state
  std::string policy;           // AttentionPolicy::save
};

// What a run goes on with.
struct DenoiseParts {
  TensorView latents;
  Sampler& sampler;
  Noise& noise;
  AttentionPolicy& policy;
};

// Puts everything back into parts that were made for the same job. Hostile input: a refusal (kInvalid) names the field and
// changes nothing.
Status restore(const DenoiseState& state, const DenoiseParts& parts, const ExecContext& ctx);

}  // namespace zt
