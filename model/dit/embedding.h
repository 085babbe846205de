// Position and time, made in double and stored as f32.
#pragma once

#include <span>

#include "kernels/api/exec_context.h"
#include "kernels/plan/attention_plan.h"

namespace zt {

// Rotary tables of a token grid, [N, head_dim / 2] each. The head is split over the axes (t, h, w) as d_h = d_w =
// 2 * (head_dim / 6), d_t = the rest; pair j of an axis turns by index * 10000^(-2j / d_axis) (wan.md 1.2).
struct RopeTables {
  Tensor cos, sin;
};
Result<RopeTables> make_rope(const Grid& grid, int64_t head_dim, const ExecContext& ctx);

// Sinusoids of timesteps in 0..1000: out[i] = [cos(t f_0..), sin(t f_0..)], f_j = 10000^(-j / half). Frequencies and
// products are rounded to f32 as the reference does (diffusers get_timestep_embedding).
void timestep_embedding(std::span<const double> timesteps, int64_t dim, std::span<float> out);

}  // namespace zt
