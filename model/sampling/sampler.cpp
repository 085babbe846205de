#include "model/sampling/sampler.h"

#include <array>
#include <cmath>

#include "kernels/api/ops.h"
#include "kernels/api/transfer.h"

namespace zt {
namespace {

struct Term {
  double coef;
  TensorView in;
};

// out = sum of coef * in, one pass.
void combine(const TensorView& out, std::initializer_list<Term> terms, const ExecContext& ctx) {
  std::array<double, 6> coef{};
  std::array<TensorView, 6> in;
  ZT_CHECK(terms.size() <= coef.size());
  size_t n = 0;
  for (const Term& t : terms) coef[n] = t.coef, in[n++] = t.in;
  affine_sum({.coef = std::span(coef).first(n), .in = std::span(in).first(n), .out = out}, ctx);
}

// Steps come in order; `done` counts them so that a resumed sampler knows where it stands.
class SolverBase : public Sampler {
 public:
  SolverBase(Schedule s, Shape latent) : Sampler(std::move(s)), latent_(latent) {}

  Status step(int64_t i, const TensorView& x, const TensorView& velocity, Noise& noise, const TensorView& x0_out,
              const ExecContext& ctx) final {
    ZT_CHECK(i == done_ && i < steps());
    ZT_CHECK(x.shape == latent_ && velocity.shape == latent_);
    if (x0_out) combine(x0_out, {{1, x}, {-sigma(i), velocity}}, ctx);
    ZT_RETURN_IF_ERROR(advance(i, x, velocity, noise, ctx));
    ++done_;
    return ok_status();
  }
  std::vector<std::pair<std::string, TensorView>> state() override { return {}; }
  void set_steps_done(int64_t n) final {
    ZT_CHECK(n >= 0 && n <= steps());
    done_ = n;
  }

 protected:
  virtual Status advance(int64_t i, const TensorView& x, const TensorView& velocity, Noise& noise, const ExecContext& ctx) = 0;
  int64_t steps() const { return int64_t(schedule_.timesteps.size()); }
  double sigma(int64_t i) const { return schedule_.sigmas[size_t(i)]; }
  double alpha(int64_t i) const { return 1 - sigma(i); }
  // Half the log signal-to-noise ratio; +inf at the end of the schedule.
  double lambda(int64_t i) const { return std::log(alpha(i)) - std::log(sigma(i)); }
  const Shape latent_;

 private:
  int64_t done_ = 0;
};

// x += (sigma' - sigma) v.
class Euler final : public SolverBase {
 public:
  using SolverBase::SolverBase;

 private:
  Status advance(int64_t i, const TensorView& x, const TensorView& velocity, Noise&, const ExecContext& ctx) override {
    combine(x, {{1, x}, {sigma(i + 1) - sigma(i), velocity}}, ctx);
    return {};
  }
};

// Consistency models: jump to x0, then noise it again to the next level.
class Lcm final : public SolverBase {
 public:
  static Result<std::unique_ptr<Sampler>> make(Schedule s, Shape latent, const ExecContext& ctx) {
    auto sampler = std::make_unique<Lcm>(std::move(s), latent);
    ZT_ASSIGN_OR_RETURN(sampler->fresh_, ctx.arena->make(DType::f32, latent));
    return std::unique_ptr<Sampler>(std::move(sampler));
  }
  using SolverBase::SolverBase;

 private:
  Status advance(int64_t i, const TensorView& x, const TensorView& velocity, Noise& noise, const ExecContext& ctx) override {
    double a = alpha(i + 1), s = sigma(i + 1);
    if (s == 0) {
      combine(x, {{1, x}, {-sigma(i), velocity}}, ctx);
      return {};
    }
    ZT_ASSIGN_OR_RETURN(HostWrite drawn, HostWrite::make(fresh_, ctx));
    noise.fill({drawn.view().as<float>(), size_t(latent_.count())});
    ZT_RETURN_IF_ERROR(drawn.finish(ctx));
    combine(x, {{a, x}, {-a * sigma(i), velocity}, {s, fresh_}}, ctx);
    return {};
  }
  Tensor fresh_;
};

// What the multistep solvers share: x0 estimates of the last two steps, that of step i in slot i % 2.
class Multistep : public SolverBase {
 public:
  using SolverBase::SolverBase;
  std::vector<std::pair<std::string, TensorView>> state() override { return {{"x0_even", x0_[0]}, {"x0_odd", x0_[1]}}; }
  virtual Status allocate(const ExecContext& ctx) {
    for (Tensor& t : x0_) {
      ZT_ASSIGN_OR_RETURN(t, ctx.arena->zeros(DType::f32, latent_));
    }
    return ok_status();
  }

 protected:
  const Tensor& x0(int64_t i) const { return x0_[size_t(i & 1)]; }
  void estimate(int64_t i, const TensorView& x, const TensorView& velocity, const ExecContext& ctx) {
    combine(x0(i), {{1, x}, {-sigma(i), velocity}}, ctx);
  }
  // x = (sigma' / sigma) from - alpha' (e^-h - 1) (m_i + (m_i - m_{i-1}) / (2 r)), r = (lambda_i - lambda_{i-1}) / h: the
  // second-order step both solvers take (UniPC bh2 with rho = 1/2; DPM-Solver++ 2M midpoint, arXiv 2211.01095).
  void predict(int64_t i, int order, const TensorView& x, const TensorView& from, const ExecContext& ctx) {
    if (sigma(i + 1) == 0) return combine(x, {{1, x0(i)}}, ctx);
    double h = lambda(i + 1) - lambda(i), ratio = sigma(i + 1) / sigma(i), e = alpha(i + 1) * std::expm1(-h);
    if (order == 1) return combine(x, {{ratio, from}, {-e, x0(i)}}, ctx);
    double slope = e / 2 * h / (lambda(i) - lambda(i - 1));
    combine(x, {{ratio, from}, {-e - slope, x0(i)}, {slope, x0(i - 1)}}, ctx);
  }

 private:
  std::array<Tensor, 2> x0_;
};

class DpmPP final : public Multistep {
 public:
  using Multistep::Multistep;

 private:
  // The last step goes to sigma 0 and is first order whatever the step count (final_sigmas_type "zero").
  Status advance(int64_t i, const TensorView& x, const TensorView& velocity, Noise&, const ExecContext& ctx) override {
    estimate(i, x, velocity, ctx);
    predict(i, i == 0 ? 1 : 2, x, x, ctx);
    return {};
  }
};

// UniPC-2, B(h) = e^h - 1 (arXiv 2302.04867): the velocity at step i first corrects x_i, then predicts x_{i+1}.
class UniPC final : public Multistep {
 public:
  using Multistep::Multistep;
  std::vector<std::pair<std::string, TensorView>> state() override {
    auto s = Multistep::state();
    s.emplace_back("corrected", corrected_);
    return s;
  }
  Status allocate(const ExecContext& ctx) override {
    ZT_RETURN_IF_ERROR(Multistep::allocate(ctx));
    ZT_ASSIGN_OR_RETURN(corrected_, ctx.arena->zeros(DType::f32, latent_));
    return ok_status();
  }

 private:
  // 1, 2, 2, ..., 2, 1: warm-up, and lower_order_final.
  int order(int64_t i) const { return int(std::min({int64_t(2), steps() - i, i + 1})); }

  Status advance(int64_t i, const TensorView& x, const TensorView& velocity, Noise&, const ExecContext& ctx) override {
    if (i == 0) {
      combine(corrected_, {{1, x}}, ctx);
    } else {
      correct(i, x, velocity, ctx);
    }
    estimate(i, x, velocity, ctx);  // over the estimate of step i - 2, which the corrector has used
    predict(i, order(i), x, corrected_, ctx);
    return {};
  }

  // corrected = ratio corrected - alpha E (m_{i-1} + rho0 (m_{i-2} - m_{i-1}) / r + rho1 (m_i - m_{i-1})) with E = e^-h - 1;
  // m_i enters as x - sigma v. The rho solve [[1, 1], [r, 1]] rho = b.
  void correct(int64_t i, const TensorView& x, const TensorView& velocity, const ExecContext& ctx) {
    double h = lambda(i) - lambda(i - 1), z = -h, big_e = std::expm1(z);
    double ratio = sigma(i) / sigma(i - 1), e = alpha(i) * big_e;
    if (order(i - 1) == 1) {
      combine(corrected_, {{ratio, corrected_}, {-e / 2, x0(i - 1)}, {-e / 2, x}, {e / 2 * sigma(i), velocity}}, ctx);
      return;
    }
    double phi2 = big_e / z - 1, phi3 = phi2 / z - 0.5;
    double b1 = phi2 / big_e, b2 = 2 * phi3 / big_e;
    double r = (lambda(i - 2) - lambda(i - 1)) / h;
    double rho0 = (b1 - b2) / (1 - r), rho1 = b1 - rho0;
    combine(corrected_,
            {{ratio, corrected_},
             {-e * (1 - rho0 / r - rho1), x0(i - 1)},
             {-e * rho0 / r, x0(i - 2)},
             {-e * rho1, x},
             {e * rho1 * sigma(i), velocity}},
            ctx);
  }

  Tensor corrected_;  // x_{i-1} after its correction
};

template <class Solver>
Result<std::unique_ptr<Sampler>> make_multistep(Schedule s, const Shape& latent, const ExecContext& ctx) {
  auto solver = std::make_unique<Solver>(std::move(s), latent);
  ZT_RETURN_IF_ERROR(solver->allocate(ctx));
  return std::unique_ptr<Sampler>(std::move(solver));
}

}  // namespace

Result<std::unique_ptr<Sampler>> Sampler::make(SamplerKind kind, Schedule schedule, Shape latent, const ExecContext& ctx) {
  ZT_CHECK(!schedule.timesteps.empty() && schedule.sigmas.size() == schedule.timesteps.size() + 1);
  switch (kind) {
    case SamplerKind::unipc: return make_multistep<UniPC>(std::move(schedule), latent, ctx);
    case SamplerKind::euler: return std::unique_ptr<Sampler>(std::make_unique<Euler>(std::move(schedule), latent));
    case SamplerKind::dpmpp: return make_multistep<DpmPP>(std::move(schedule), latent, ctx);
    case SamplerKind::lcm: return Lcm::make(std::move(schedule), latent, ctx);
  }
  throw Bug("unknown sampler");
}

}  // namespace zt
