// Flow-matching samplers in the diffusers conventions (wan.md section 5).
//   x_sigma = (1 - sigma) x0 + sigma noise, velocity v = noise - x0, x0 = x - sigma v.
// A schedule has steps + 1 sigmas, the last one 0; the model sees timestep[i].
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/api/exec_context.h"
#include "model/config/config.h"
#include "model/sampling/noise.h"

namespace zt {

enum class SamplerKind : uint8_t { unipc, euler, dpmpp, lcm };

std::string_view sampler_name(SamplerKind k);  // "unipc", "euler", "dpm++", "lcm"
std::optional<SamplerKind> sampler_from_name(std::string_view name);

struct Schedule {
  std::vector<double> sigmas;     // [steps + 1]
  std::vector<double> timesteps;  // [steps], integer valued for unipc and dpm++
};
// The schedule diffusers builds for this sampler's class with use_flow_sigmas and flow_shift.
Result<Schedule> make_schedule(SamplerKind kind, int64_t steps, double flow_shift, int64_t train_timesteps);
// One whose noise levels are given, as few-step models are trained for: one sigma a step, strictly falling in (0, 1], 0 after
// the last. Not shifted; rounding and timesteps (train_timesteps * sigma) as above, and for unipc and dpm++ a sigma of 1 moves
// as far off it as diffusers moves it. kInvalid for any other list.
Result<Schedule> make_schedule(SamplerKind kind, std::span<const double> sigmas, int64_t train_timesteps);

// Solver state for one clip. step(i) takes the velocity at sigma[i] and moves x to sigma[i + 1].
class Sampler {
 public:
  static Result<std::unique_ptr<Sampler>> make(SamplerKind kind, Schedule schedule, Shape latent, const ExecContext& ctx);
  virtual ~Sampler() = default;
  const Schedule& schedule() const { return schedule_; }
  // x, velocity: [C, T, H, W] f32 of ctx.arena. noise: used by lcm only. x0_out (optional): receives x - sigma v of this step.
  virtual Status step(int64_t i, const TensorView& x, const TensorView& velocity, Noise& noise, const TensorView& x0_out,
                      const ExecContext& ctx) = 0;
  // History tensors by name, for checkpoints; restored by copying into them before the next step.
  virtual std::vector<std::pair<std::string, TensorView>> state() = 0;
  virtual void set_steps_done(int64_t steps) = 0;  // after restoring

 protected:
  explicit Sampler(Schedule s) : schedule_(std::move(s)) {}
  Schedule schedule_;
};

}  // namespace zt
