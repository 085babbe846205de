#include "model/sampling/noise.h"

#include <cmath>

#include "model/sampling/noise_math.h"
#include "model/sampling/philox.h"
#include "tests/model/sampling_golden.h"

namespace zt {
namespace {

using testing::fnv;
using testing::read_golden;

std::vector<float> draw(Noise& noise, size_t n) {
  std::vector<float> v(n, -99.f);
  noise.fill(v);
  return v;
}

double largest_difference(const std::vector<float>& mine, const nlohmann::json& golden) {
  double worst = 0;
  auto compare = [&](const nlohmann::json& values, size_t at) {
    for (size_t i = 0; i < values.size(); ++i) worst = std::max(worst, std::fabs(double(mine[at + i]) - values[i].get<double>()));
  };
  if (golden.contains("values")) {
    compare(golden["values"], 0);
  } else {
    compare(golden["first"], 0);
    compare(golden["last"], mine.size() - golden["last"].size());
  }
  return worst;
}

TEST(Noise, PhiloxKnownAnswers) {  // from the authors' known-answer tests (Random123)
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0u, ~0u, ~0u, ~0u}, ~uint64_t(0)), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Noise, MathMatchesTheCLibrary) {
  testing::Random random(1);
  double log_error = 0, sincos_error = 0;
  for (int i = 0; i < 200000; ++i) {
    double u = i % 3 ? 1 - random.uniform() : std::ldexp(1 - random.uniform(), -int(random.below(64)));
    log_error = std::max(log_error, std::fabs(portable_log(u) - std::log(u)) / std::max(1e-300, std::fabs(std::log(u))));
    double turns = random.uniform();
    SinCos sc = portable_sincos(turns);
    sincos_error =
        std::max({sincos_error, std::fabs(sc.sin - std::sin(turns * 2 * M_PI)), std::fabs(sc.cos - std::cos(turns * 2 * M_PI))});
  }
  EXPECT_EQ(portable_log(1), 0);
  EXPECT_LT(log_error, 8e-16);
  EXPECT_LT(sincos_error, 1.2e-15);  // the argument 2 pi turns of the reference is itself rounded
}

TEST(Noise, TorchCpuGolden) {
  const auto golden = read_golden("noise_golden.json");
  for (const auto& g : golden.at("torch_cpu")) {
    Noise noise(Rng::torch_cpu, g["seed"].get<uint64_t>());
    auto mine = draw(noise, g["size"].get<size_t>());
    EXPECT_LE(largest_difference(mine, g), 1e-7) << g["seed"] << " " << g["size"];
    if (mine.size() >= 16) {  // short fills use libm
      EXPECT_EQ(fnv(mine), g["hash"]) << g["seed"] << " " << g["size"];
    }
  }
}

TEST(Noise, TorchCpuSuccessiveFills) {
  Noise noise(Rng::torch_cpu, 9);
  const auto golden = read_golden("noise_golden.json");
  for (const auto& g : golden.at("torch_cpu_sequence")) {
    EXPECT_LE(largest_difference(draw(noise, g["size"].get<size_t>()), g), 1e-7) << g["size"];
  }
}

TEST(Noise, TorchCudaGolden) {
  const auto golden = read_golden("noise_golden.json");
  for (const auto& g : golden.at("torch_cuda")) {
    Noise noise(Rng::torch_cuda, g["seed"].get<uint64_t>());
    for (int i = 0; i < g["fill"].get<int>(); ++i) draw(noise, 5);
    EXPECT_LE(largest_difference(draw(noise, g["size"].get<size_t>()), g), 1e-6) << g["seed"] << " " << g["size"];
  }
}

// Published by several programs as the first numbers of torch.randn on CUDA with seed 0.
TEST(Noise, TorchCudaPublishedNumbers) {
  Noise noise(Rng::torch_cuda, 0);
  const float published[] = {-0.92466259f, -0.42534415f, -2.6438457f,  0.14518388f,  -0.12086647f, -0.57972564f,
                             -0.62285122f, -0.32838709f, -1.07454231f, -0.36314407f, -1.67105067f, 2.26550497f};
  auto mine = draw(noise, std::size(published));
  for (size_t i = 0; i < mine.size(); ++i) EXPECT_NEAR(mine[i], published[i], 1e-6) << i;
}

TEST(Noise, EveryGeneratorIsNormalAndRepeats) {
  for (Rng rng : {Rng::philox, Rng::torch_cpu, Rng::torch_cuda}) {
    Noise a(rng, 42), b(rng, 42), other(rng, 43);
    auto x = draw(a, 200001), y = draw(b, 200001), z = draw(other, 200001);
    EXPECT_EQ(fnv(x), fnv(y)) << rng_name(rng);
    EXPECT_NE(fnv(x), fnv(z));
    EXPECT_NE(fnv(x), fnv(draw(a, 200001))) << "a second fill goes on";
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0, neighbours = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      double v = x[i];
      m1 += v, m2 += v * v, m3 += v * v * v, m4 += v * v * v * v;
      if (i) neighbours += v * x[i - 1];
    }
    double n = double(x.size());  // five standard errors each
    EXPECT_NEAR(m1 / n, 0, 5 * std::sqrt(1 / n));
    EXPECT_NEAR(m2 / n, 1, 5 * std::sqrt(2 / n));
    EXPECT_NEAR(m3 / n, 0, 5 * std::sqrt(15 / n));
    EXPECT_NEAR(m4 / n, 3, 5 * std::sqrt(96 / n));
    EXPECT_NEAR(neighbours / n, 0, 5 * std::sqrt(1 / n));
  }
}

TEST(Noise, PhiloxElementDependsOnItsPlaceOnly) {
  Noise a(Rng::philox, 7), b(Rng::philox, 7);
  auto longer = draw(a, 1003), shorter = draw(b, 501);
  longer.resize(shorter.size());
  EXPECT_EQ(longer, shorter);
  Noise same(Rng::philox, 1234567890123456789u);
  EXPECT_EQ(fnv(draw(same, 1001)), "8d8c75205ebe3e12") << "the numbers of a seed are part of the contract";
}

TEST(Noise, StateRoundTrip) {
  for (Rng rng : {Rng::philox, Rng::torch_cpu, Rng::torch_cuda}) {
    Noise a(rng, 5);
    for (size_t n : {3u, 100u, 1u, 40u, 700u}) {
      draw(a, n);
      Noise b(rng, 5);
      ZT_ASSERT_OK(b.restore(a.state()));
      EXPECT_EQ(a.state(), b.state());
      Noise c = a;
      EXPECT_EQ(draw(c, 1000), draw(b, 1000)) << rng_name(rng);
      EXPECT_EQ(draw(c, 3), draw(b, 3)) << rng_name(rng);
    }
  }
}

TEST(Noise, DamagedStateIsRefusedAndChangesNothing) {
  for (Rng rng : {Rng::philox, Rng::torch_cpu, Rng::torch_cuda}) {
    Noise a(rng, 5);
    draw(a, 7);
    const std::string good = a.state();
    testing::Random random(3);
    std::vector<std::string> bad = {
        "", " ", "philox", "torch-cpu 5", "torch-cpu 5 625 00 -", std::string(100000, 'f'), good + " ", good + "x", "x" + good};
    bad.push_back(std::string(rng_name(rng)) + " 6" + good.substr(rng_name(rng).size() + 2));  // another seed
    bad.push_back(std::string(rng_name(rng)) + " 5 -1");
    bad.push_back(std::string(rng_name(rng)) + " 5 99999999999999999999");
    for (const std::string& text : bad) {
      EXPECT_EQ(a.restore(text).code(), Code::kInvalid) << text.substr(0, 80);
      EXPECT_EQ(a.state(), good);
    }
    for (int i = 0; i < 2000; ++i) {  // anything accepted must be usable
      std::string text = good;
      text[size_t(random.below(std::min<int64_t>(64, int64_t(text.size()))))] = char(random.below(256));
      if (i % 2) text.resize(size_t(random.below(int64_t(text.size()))));
      Noise b(rng, 5);
      if (b.restore(text).ok()) draw(b, 20);
    }
  }
}

TEST(Noise, TorchCudaLimit) {
  ZT_ASSERT_OK(Noise::check(Rng::torch_cuda, kTorchCudaLimit));
  EXPECT_EQ(Noise::check(Rng::torch_cuda, kTorchCudaLimit + 1).code(), Code::kInvalid);
  ZT_ASSERT_OK(Noise::check(Rng::philox, int64_t(1) << 40));
  ZT_ASSERT_OK(Noise::check(Rng::torch_cpu, int64_t(1) << 40));
  Noise noise(Rng::torch_cuda, 1);
  std::vector<float> too_many(size_t(kTorchCudaLimit) + 1);
  EXPECT_THROW(noise.fill(too_many), Bug);
}

TEST(Noise, Names) {
  for (Rng rng : {Rng::philox, Rng::torch_cpu, Rng::torch_cuda}) EXPECT_EQ(rng_from_name(rng_name(rng)), rng);
  EXPECT_FALSE(rng_from_name("torch"));
}

}  // namespace
}  // namespace zt
