#include <cmath>

#include "model/sampling/sampler.h"

namespace zt {
namespace {

constexpr int64_t kMaxSteps = 10000;
constexpr std::string_view kNames[] = {"unipc", "euler", "dpm++", "lcm"};

// numpy.linspace, rounding included: start + i * step, the last one exactly stop.
std::vector<double> linspace(double start, double stop, int64_t n) {
  std::vector<double> v(static_cast<size_t>(n), start);
  double step = n > 1 ? (stop - start) / double(n - 1) : 0;
  for (int64_t i = 0; i < n; ++i) v[size_t(i)] = double(i) * step + start;
  if (n > 1) v.back() = stop;
  return v;
}

double shifted(double sigma, double shift) { return shift * sigma / (1 + (shift - 1) * sigma); }

float shifted_f32(float sigma, double shift) { return float(shift) * sigma / (1 + float(shift - 1) * sigma); }

// Solvers that take the logarithm of sigma and of 1 - sigma; their timesteps are whole.
bool logarithmic(SamplerKind kind) { return kind == SamplerKind::unipc || kind == SamplerKind::dpmpp; }

// ln(1 - sigma) would be infinite.
double off_one(double sigma) { return std::fabs(sigma - 1) < 1e-6 ? sigma - 1e-6 : sigma; }

Status check_train(int64_t train_timesteps) {
  if (train_timesteps >= 2 && train_timesteps <= 1000000) return {};
  return invalid("a scheduler of {} training timesteps; 2 to 1000000 are possible", train_timesteps);
}

// Rounds where diffusers 0.42 does: numpy doubles, sigmas stored as float32; the integer timesteps are cut from the
// doubles, the float ones computed from the float32 sigmas. So both agree to the bit.
Schedule rounded(SamplerKind kind, const std::vector<double>& sigmas, int64_t train_timesteps) {
  const double train = double(train_timesteps);
  Schedule schedule;
  for (double s : sigmas) {
    schedule.sigmas.push_back(double(float(s)));
    schedule.timesteps.push_back(logarithmic(kind) ? std::trunc(s * train) : double(float(s) * float(train)));
  }
  schedule.sigmas.push_back(0);
  return schedule;
}

// The solvers need ln sigma and ln(1 - sigma) of neighbours that differ.
bool usable(SamplerKind kind, const Schedule& schedule) {
  bool good = schedule.sigmas[0] < 1 || !logarithmic(kind);
  for (size_t i = 1; i < schedule.sigmas.size(); ++i) good = good && schedule.sigmas[i] < schedule.sigmas[i - 1];
  return good;
}

}  // namespace

std::string_view sampler_name(SamplerKind k) { return kNames[size_t(k)]; }

std::optional<SamplerKind> sampler_from_name(std::string_view name) {
  for (SamplerKind k : {SamplerKind::unipc, SamplerKind::euler, SamplerKind::dpmpp, SamplerKind::lcm}) {
    if (sampler_name(k) == name) return k;
  }
  return std::nullopt;
}

Result<Schedule> make_schedule(SamplerKind kind, int64_t steps, double flow_shift, int64_t train_timesteps) {
  if (steps < 1 || steps > kMaxSteps) return invalid("steps must be 1 to {}, not {}", kMaxSteps, steps);
  if (!(flow_shift > 0) || !std::isfinite(flow_shift)) return invalid("flow shift must be a positive number, not {}", flow_shift);
  ZT_RETURN_IF_ERROR(check_train(train_timesteps));
  const double train = double(train_timesteps);
  std::vector<double> sigmas;  // without the final 0, before rounding to float32
  switch (kind) {
    case SamplerKind::unipc:  // UniPCMultistepScheduler: from 1, moved off it where ln(1 - sigma) would be infinite
      sigmas = linspace(1, 1 / train, steps + 1);
      sigmas.pop_back();
      for (double& s : sigmas) s = shifted(s, flow_shift);
      sigmas[0] = off_one(sigmas[0]);
      break;
    case SamplerKind::dpmpp: {  // DPMSolverMultistepScheduler: from 1 - 1 / train
      std::vector<double> alphas = linspace(1, 1 / train, steps + 1);
      for (size_t i = alphas.size(); i-- > 1;) sigmas.push_back(shifted(1 - alphas[i], flow_shift));
      break;
    }
    case SamplerKind::euler:
    case SamplerKind::lcm:  // FlowMatch*Scheduler: its shifted range is shifted again
      sigmas =
          linspace(double(shifted_f32(1, flow_shift)) * train, double(shifted_f32(float(1 / train), flow_shift)) * train, steps);
      for (double& s : sigmas) s = shifted(s / train, flow_shift);
      break;
  }
  Schedule schedule = rounded(kind, sigmas, train_timesteps);
  if (!usable(kind, schedule)) return invalid("flow shift {} leaves no room for {} {} steps", flow_shift, steps, sampler_name(kind));
  return schedule;
}

Result<Schedule> make_schedule(SamplerKind kind, std::span<const double> given, int64_t train_timesteps) {
  if (given.empty() || int64_t(given.size()) > kMaxSteps) return invalid("{} sigmas; 1 to {} are possible", given.size(), kMaxSteps);
  ZT_RETURN_IF_ERROR(check_train(train_timesteps));
  std::vector<double> sigmas(given.begin(), given.end());
  for (double s : sigmas) {
    if (!(s > 0 && s <= 1)) return invalid("a sigma of {}; they lie above 0 and at most at 1", s);
  }
  if (logarithmic(kind)) sigmas[0] = off_one(sigmas[0]);
  Schedule schedule = rounded(kind, sigmas, train_timesteps);
  if (!usable(kind, schedule)) return invalid("sigmas must fall from step to step, by more than float32 can tell apart");
  return schedule;
}

}  // namespace zt
