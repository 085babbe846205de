#include "model/pipeline/denoise_state.h"

#include <algorithm>

#include "kernels/api/transfer.h"
#include "model/pipeline/guard.h"

namespace zt {
namespace {

Status check_tensor(std::string_view name, const TensorView& v, const Shape& want) {
  if (v.dtype != DType::f32) return invalid("{}: is {}, f32 is wanted", name, dtype_name(v.dtype));
  if (v.shape != want) return invalid("{}: is {}, this job needs {}", name, v.shape.str(), want.str());
  if (!v.dense()) return invalid("{}: is not dense", name);
  int64_t at = first_not_finite(v);
  return at < 0 ? ok_status() : invalid("{}: element {} is not finite", name, at);
}

}  // namespace

Status restore(const DenoiseState& state, const DenoiseParts& parts, const ExecContext& ctx) {
  int64_t steps = int64_t(parts.sampler.schedule().timesteps.size());
  if (state.steps != steps) return invalid("steps: {}, this job has {}", state.steps, steps);
  if (state.step < 1 || state.step > steps) return invalid("step: {} is outside 1..{}", state.step, steps);
  ZT_RETURN_IF_ERROR(check_tensor("latents", state.latents, parts.latents.shape));
  auto wanted = parts.sampler.state();
  for (const auto& [name, to] : wanted) {
    auto has = [&n = name](const auto& entry) { return entry.first == n; };
    auto from = std::find_if(state.solver.begin(), state.solver.end(), has);
    if (from == state.solver.end()) return invalid("solver.{}: is missing", name);
    ZT_RETURN_IF_ERROR(check_tensor("solver." + name, from->second, to.shape));
  }
  for (const auto& [name, from] : state.solver) {
    auto has = [&n = name](const auto& entry) { return entry.first == n; };
    if (std::none_of(wanted.begin(), wanted.end(), has)) return invalid("solver.{}: this sampler has no such history", name);
  }
  Noise noise = parts.noise;
  if (Status s = noise.restore(state.noise); !s.ok()) return s.in("noise");
  // The policy comes last: it is the only part that cannot be tried on a copy.
  if (Status s = parts.policy.restore(state.policy); !s.ok()) return s.in("policy");
  parts.noise = noise;
  ZT_RETURN_IF_ERROR(copy_values(state.latents, parts.latents, ctx));
  for (const auto& [name, to] : wanted) {
    for (const auto& [from_name, from] : state.solver) {
      if (from_name == name) ZT_RETURN_IF_ERROR(copy_values(from, to, ctx));
    }
  }
  parts.sampler.set_steps_done(state.step);
  return ok_status();
}

}  // namespace zt
