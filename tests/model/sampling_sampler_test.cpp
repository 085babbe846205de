#include "model/sampling/sampler.h"

#include <cmath>

#include "tests/model/sampling_golden.h"

namespace zt {
namespace {

using testing::fnv;
using testing::make_machine;
using testing::must;
using testing::read_golden;

constexpr SamplerKind kKinds[] = {SamplerKind::unipc, SamplerKind::euler, SamplerKind::dpmpp, SamplerKind::lcm};

// A sampler with its x and velocity on a latent of n elements.
struct Solve {
  Solve(testing::Machine& m, SamplerKind kind, const Schedule& schedule, int64_t n)
      : machine(m),
        sampler(must(Sampler::make(kind, schedule, {1, 1, 1, n}, m.ctx))),
        x(must(m.arena.make(DType::f32, {1, 1, 1, n}))),
        v(must(m.arena.make(DType::f32, {1, 1, 1, n}))),
        x0(must(m.arena.make(DType::f32, {1, 1, 1, n}))) {}
  void step(int64_t i, Noise& noise) {
    Status s = sampler->step(i, x, v, noise, x0, machine.ctx);
    ASSERT_TRUE(s.ok()) << s.message();
  }
  std::vector<float> values() const { return testing::to_floats(x); }
  testing::Machine& machine;
  std::unique_ptr<Sampler> sampler;
  Tensor x, v, x0;
};

// The velocity of sampler_golden.py.
void golden_velocity(const Solve& run, double sigma) {
  for (int64_t j = 0; j < run.x.view().count(); ++j) {
    double x = run.x.as<float>()[j];
    run.v.as<float>()[j] = float(1.3 * x / (1 + x * x) + 0.25 * double(j + 1) - 0.8 * sigma);
  }
}

TEST(Schedule, EqualsDiffusersToTheBit) {
  const auto golden = read_golden("sampler_golden.json");
  for (const auto& g : golden.at("schedules")) {
    SamplerKind kind = *sampler_from_name(g["kind"].get<std::string>());
    for (size_t steps = 1; steps <= g["hashes"].size(); ++steps) {
      Schedule s = must(make_schedule(kind, int64_t(steps), g["shift"].get<double>(), 1000));
      ASSERT_EQ(s.sigmas.size(), steps + 1);
      ASSERT_EQ(s.timesteps.size(), steps);
      std::vector<float> all(s.sigmas.begin(), s.sigmas.end());
      all.insert(all.end(), s.timesteps.begin(), s.timesteps.end());
      EXPECT_EQ(fnv(all), g["hashes"][steps - 1]) << g["kind"] << " shift " << g["shift"] << " steps " << steps;
    }
  }
}

TEST(Schedule, Refusals) {
  for (SamplerKind kind : kKinds) {
    for (int64_t steps : {int64_t(0), int64_t(-1), int64_t(1000000000)}) EXPECT_FALSE(make_schedule(kind, steps, 3, 1000).ok());
    for (double shift : {0., -1., double(NAN), double(INFINITY), 1e300, 1e-300}) {
      EXPECT_EQ(make_schedule(kind, 20, shift, 1000).status().code(), Code::kInvalid) << shift;
    }
    for (int64_t train : {int64_t(0), int64_t(1), int64_t(-5), int64_t(1) << 40})
      EXPECT_FALSE(make_schedule(kind, 20, 3, train).ok());
    Schedule s = must(make_schedule(kind, 1000, 12, 1000));  // as many steps as the model was trained for
    for (size_t i = 0; i + 1 < s.sigmas.size(); ++i) EXPECT_LT(s.sigmas[i + 1], s.sigmas[i]);
    EXPECT_EQ(s.sigmas.back(), 0);
  }
}

// A list that is the sampler's own schedule gives that schedule, timesteps and roundings included.
TEST(Schedule, OfGivenSigmas) {
  for (double shift : {1., 3., 5.}) {
    for (int64_t steps : {1, 4, 20, 50}) {
      std::vector<double> own;
      for (int64_t i = 0; i < steps; ++i) {  // UniPC's linspace(1, 0.001, steps + 1) without its end, shifted
        double s = i == 0 ? 1 : double(i) * ((0.001 - 1) / double(steps)) + 1;
        own.push_back(shift * s / (1 + (shift - 1) * s));
      }
      Schedule want = must(make_schedule(SamplerKind::unipc, steps, shift, 1000)), got = must(make_schedule(SamplerKind::unipc, own, 1000));
      EXPECT_EQ(got.sigmas, want.sigmas) << shift << " " << steps;
      EXPECT_EQ(got.timesteps, want.timesteps) << shift << " " << steps;
    }
  }
  const std::vector<double> few = {1, 0.9, 0.75, 0.5};
  for (SamplerKind kind : {SamplerKind::euler, SamplerKind::lcm}) {
    Schedule s = must(make_schedule(kind, few, 1000));
    EXPECT_EQ(s.sigmas, (std::vector<double>{1, double(0.9f), 0.75, 0.5, 0}));
    EXPECT_EQ(s.timesteps, (std::vector<double>{1000, double(0.9f * 1000.f), 750, 500}));
  }
  for (SamplerKind kind : {SamplerKind::unipc, SamplerKind::dpmpp}) {
    Schedule s = must(make_schedule(kind, few, 1000));
    EXPECT_EQ(s.sigmas, (std::vector<double>{double(float(1 - 1e-6)), double(0.9f), 0.75, 0.5, 0}));
    EXPECT_EQ(s.timesteps, (std::vector<double>{999, 900, 750, 500}));
  }
}

TEST(Schedule, GivenSigmasThatAreRefused) {
  const std::vector<std::vector<double>> lists = {
      {},         {0},           {1, 0},      {1, 1},  {0.5, 0.9}, {1.0001}, {-0.5}, {double(NAN)}, {1, double(NAN)}, {double(INFINITY)},
      {1, 1e-60}, {0.5, 0.5 - 1e-12}, std::vector<double>(10001, 0.5)};
  for (SamplerKind kind : kKinds) {
    for (const auto& list : lists) EXPECT_EQ(make_schedule(kind, list, 1000).status().code(), Code::kInvalid) << list.size();
    EXPECT_FALSE(make_schedule(kind, std::vector<double>{1}, 1).ok());
    EXPECT_TRUE(make_schedule(kind, std::vector<double>{1}, 1000).ok());
  }
}

// x += (s' - s) v by hand, at 1, 0.9, 0.75, 0.5 and 0.
TEST(Sampler, EulerAtGivenSigmas) {
  auto machine = make_machine();
  const std::vector<double> sigmas = {1, 0.9, 0.75, 0.5};
  Solve run(*machine, SamplerKind::euler, must(make_schedule(SamplerKind::euler, sigmas, 1000)), 4);
  std::vector<double> x = {0.9f, -1.7f, 0.2f, 2.1f};
  for (size_t j = 0; j < 4; ++j) run.x.as<float>()[j] = float(x[j]);
  Noise noise(Rng::philox, 0);
  for (size_t i = 0; i < 4; ++i) {
    double next = i == 3 ? 0 : sigmas[i + 1];
    golden_velocity(run, sigmas[i]);
    for (size_t j = 0; j < 4; ++j) x[j] += (next - sigmas[i]) * double(run.v.as<float>()[j]);
    run.step(int64_t(i), noise);
    for (size_t j = 0; j < 4; ++j) EXPECT_NEAR(run.x.as<float>()[j], x[j], 1e-6) << i;
  }
}

// Every solver lands on its last estimate, finite all the way from sigma 1.
TEST(Sampler, EverySolverTakesGivenSigmas) {
  auto machine = make_machine();
  for (SamplerKind kind : kKinds) {
    for (const std::vector<double>& sigmas : {std::vector<double>{1}, {1, 0.5}, {1, 0.9, 0.75, 0.5}, {0.8, 0.1}}) {
      Solve run(*machine, kind, must(make_schedule(kind, sigmas, 1000)), 8);
      Noise noise(Rng::philox, 1);
      noise.fill({run.x.as<float>(), 8});
      for (size_t i = 0; i < sigmas.size(); ++i) {
        golden_velocity(run, sigmas[i]);
        run.step(int64_t(i), noise);
        for (float v : run.values()) EXPECT_TRUE(std::isfinite(v)) << sampler_name(kind) << " " << sigmas.size();
      }
      EXPECT_EQ(run.values(), testing::to_floats(run.x0)) << sampler_name(kind);
    }
  }
}

TEST(Sampler, TrajectoriesEqualDiffusers) {
  auto machine = make_machine();
  double worst = 0;
  const auto golden = read_golden("sampler_golden.json");
  for (const auto& g : golden.at("trajectories")) {
    SamplerKind kind = *sampler_from_name(g["kind"].get<std::string>());
    Schedule schedule = must(make_schedule(kind, g["steps"].get<int64_t>(), g["shift"].get<double>(), 1000));
    // LCM's noise in the golden is a formula, not a generator: x0 is exact and the noise is added here.
    if (kind == SamplerKind::lcm) continue;
    Solve run(*machine, kind, schedule, 4);
    const float start[] = {0.9f, -1.7f, 0.2f, 2.1f};
    std::copy(std::begin(start), std::end(start), run.x.as<float>());
    Noise noise(Rng::philox, 0);
    size_t next = 0;
    for (int64_t i = 0; i < g["steps"].get<int64_t>(); ++i) {
      golden_velocity(run, schedule.sigmas[size_t(i)]);
      run.step(i, noise);
      if (next < g["after"].size() && g["after"][next]["step"] == i) {
        double error = testing::nmse(run.values(), g["after"][next++]["x"].get<std::vector<float>>());
        EXPECT_LE(error, 1e-12) << g["kind"] << " shift " << g["shift"] << " steps " << g["steps"] << " step " << i;
        worst = std::max(worst, error);
      }
    }
    EXPECT_EQ(next, g["after"].size());
  }
  RecordProperty("worst_nmse", fmt::format("{:.3g}", worst));
}

// x' = (1 - s') (x - s v) + s' noise with the generator's next numbers; the last step draws none.
TEST(Sampler, LcmRenoisesWithTheGenerator) {
  auto machine = make_machine();
  const auto golden = read_golden("sampler_golden.json");
  for (const auto& g : golden.at("trajectories")) {
    if (g["kind"] != "lcm") continue;
    const int64_t steps = g["steps"].get<int64_t>();
    Schedule schedule = must(make_schedule(SamplerKind::lcm, steps, g["shift"].get<double>(), 1000));
    // The golden's end depends on its last x0 only through x: replay its formula with our sampler's x0.
    std::vector<double> x = {0.9f, -1.7f, 0.2f, 2.1f};
    size_t next = 0;
    for (int64_t i = 0; i < steps; ++i) {
      Solve one(*machine, SamplerKind::lcm, schedule, 4);
      one.sampler->set_steps_done(i);
      for (size_t j = 0; j < 4; ++j) one.x.as<float>()[j] = float(x[j]);
      golden_velocity(one, schedule.sigmas[size_t(i)]);
      Noise noise(Rng::philox, 11), twin(Rng::philox, 11);
      one.step(i, noise);
      float drawn[4] = {};
      double s = schedule.sigmas[size_t(i) + 1];
      if (s > 0) twin.fill(drawn);
      EXPECT_EQ(noise.state(), twin.state());
      for (size_t j = 0; j < 4; ++j) {
        double x0 = one.x0.as<float>()[j];
        EXPECT_NEAR(one.x.as<float>()[j], (1 - s) * x0 + s * drawn[j], 1e-6);
        x[j] = float((1 - s) * x0 + s * double(float(0.1 * double(j) - 0.3 + 0.05 * double(i))));
      }
      if (next < g["after"].size() && g["after"][next]["step"] == i) {
        auto want = g["after"][next++]["x"].get<std::vector<double>>();
        for (size_t j = 0; j < 4; ++j) EXPECT_NEAR(x[j], want[j], 2e-6);
      }
    }
  }
}

// Data N(mu, tau^2): the exact velocity is known and the flow keeps the z-score, so the end is known in closed form
// (wan.md section 10.1). Euler halves its error with twice the steps; the second-order solvers beat it by far. They take
// their last step, from a sigma of order 1 / steps, at first order.
TEST(Sampler, LinearGaussianFlow) {
  auto machine = make_machine();
  const double mu = 0.7, tau = 0.4, shift = 3;
  auto error = [&](SamplerKind kind, int64_t steps) {
    Schedule schedule = must(make_schedule(kind, steps, shift, 1000));
    Solve run(*machine, kind, schedule, 5);
    auto spread = [&](double s) { return std::sqrt((1 - s) * (1 - s) * tau * tau + s * s); };
    double s0 = schedule.sigmas[0];
    for (int64_t j = 0; j < 5; ++j) run.x.as<float>()[j] = float((1 - s0) * mu + double(j - 2) * spread(s0));
    Noise noise(Rng::philox, 0);
    for (int64_t i = 0; i < steps; ++i) {
      double s = schedule.sigmas[size_t(i)], a = 1 - s;
      for (int64_t j = 0; j < 5; ++j) {
        double x = run.x.as<float>()[j];
        double x0 = mu + a * tau * tau / (a * a * tau * tau + s * s) * (x - a * mu);
        run.v.as<float>()[j] = float((x - x0) / s);
      }
      run.step(i, noise);
    }
    double worst = 0;
    for (int64_t j = 0; j < 5; ++j) worst = std::max(worst, std::fabs(double(run.x.as<float>()[j]) - (mu + double(j - 2) * tau)));
    return worst;
  };
  for (SamplerKind kind : {SamplerKind::unipc, SamplerKind::dpmpp}) {
    EXPECT_LT(error(kind, 20), 0.06) << sampler_name(kind);
    EXPECT_LT(error(kind, 80), error(SamplerKind::euler, 80) / 5) << sampler_name(kind);
    EXPECT_LT(error(kind, 160), 0.004) << sampler_name(kind);
  }
  EXPECT_NEAR(error(SamplerKind::euler, 320) / error(SamplerKind::euler, 160), 0.5, 0.02);
}

TEST(Sampler, ResumesToTheBit) {
  auto machine = make_machine();
  const int64_t steps = 7, n = 1001;
  for (SamplerKind kind : kKinds) {
    Schedule schedule = must(make_schedule(kind, steps, 3, 1000));
    for (int64_t stop = 0; stop <= steps; ++stop) {
      Solve whole(*machine, kind, schedule, n), resumed(*machine, kind, schedule, n);
      Noise a(Rng::torch_cpu, 3), b(Rng::torch_cpu, 3);
      a.fill({whole.x.as<float>(), size_t(n)});
      for (int64_t i = 0; i < steps; ++i) {
        if (i == stop) {
          ZT_ASSERT_OK(b.restore(a.state()));
          auto from = whole.sampler->state(), to = resumed.sampler->state();
          ASSERT_EQ(from.size(), to.size());
          for (size_t t = 0; t < from.size(); ++t) {
            EXPECT_EQ(from[t].first, to[t].first);
            std::memcpy(to[t].second.data, from[t].second.data, from[t].second.bytes());
          }
          resumed.sampler->set_steps_done(i);
          std::memcpy(resumed.x.data(), whole.x.data(), whole.x.view().bytes());
        }
        golden_velocity(whole, schedule.sigmas[size_t(i)]);
        whole.step(i, a);
        if (i >= stop) {
          golden_velocity(resumed, schedule.sigmas[size_t(i)]);
          resumed.step(i, b);
        }
      }
      if (stop < steps) {
        EXPECT_EQ(fnv(whole.values()), fnv(resumed.values())) << sampler_name(kind) << " stopped at " << stop;
      }
    }
  }
}

TEST(Sampler, StepsAllocateNothingAndGiveTheEstimate) {
  auto machine = make_machine();
  for (SamplerKind kind : kKinds) {
    Schedule schedule = must(make_schedule(kind, 5, 5, 1000));
    Solve run(*machine, kind, schedule, 64);
    Noise noise(Rng::philox, 1);
    noise.fill({run.x.as<float>(), 64});
    size_t before = machine->arena.current();
    machine->arena.fail_at(0);
    for (int64_t i = 0; i < 5; ++i) {
      golden_velocity(run, schedule.sigmas[size_t(i)]);
      auto x = run.values(), v = testing::to_floats(run.v);
      run.step(i, noise);
      for (size_t j = 0; j < x.size(); ++j) {
        EXPECT_EQ(run.x0.as<float>()[j], float(double(x[j]) - schedule.sigmas[size_t(i)] * double(v[j])));
      }
    }
    machine->arena.fail_at(-1);
    EXPECT_EQ(machine->arena.current(), before);
    EXPECT_EQ(run.values(), testing::to_floats(run.x0)) << "the last step ends on its x0 estimate: " << sampler_name(kind);
    EXPECT_THROW((void)run.sampler->step(5, run.x, run.v, noise, {}, machine->ctx), Bug);
    EXPECT_THROW((void)run.sampler->step(0, run.x, run.v, noise, {}, machine->ctx), Bug);
  }
}

TEST(Sampler, Names) {
  for (SamplerKind kind : kKinds) EXPECT_EQ(sampler_from_name(sampler_name(kind)), kind);
  EXPECT_FALSE(sampler_from_name("ddim"));
}

TEST(Sampler, OutOfMemoryIsAnError) {
  auto machine = make_machine();
  machine->arena.set_budget(machine->arena.current() + 1000);
  for (SamplerKind kind : {SamplerKind::unipc, SamplerKind::dpmpp, SamplerKind::lcm}) {
    Schedule schedule = must(make_schedule(kind, 5, 5, 1000));
    EXPECT_EQ(Sampler::make(kind, schedule, {1, 1, 100, 100}, machine->ctx).status().code(), Code::kTooBig);
  }
}

}  // namespace
}  // namespace zt
