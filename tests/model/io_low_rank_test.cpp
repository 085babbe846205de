// Deltas merged into weights against plain sums in doubles, and every way a file may not fit.
#include "model/io/low_rank.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "tests/model/io_support.h"
#include "tests/support/variant_files.h"

namespace zt {
namespace {

using namespace zt::testing;

class LowRankTest : public ::testing::Test {
 protected:
  Result<WeightStore> store(const NamedTensors& base, const NamedTensors& delta, int64_t rank, double alpha, int threads = 1) {
    EXPECT_TRUE(write_named(folder + "/base.safetensors", base).ok());
    EXPECT_TRUE(write_named(folder + "/delta.safetensors", delta).ok());
    ZT_ASSIGN_OR_RETURN(WeightStore w, WeightStore::open(folder + "/base.safetensors"));
    ZT_ASSIGN_OR_RETURN(auto low_rank, LowRank::open(folder + "/delta.safetensors", rank, alpha));
    ZT_RETURN_IF_ERROR(w.overlay(low_rank, threads));
    return w;
  }
  NamedTensors one(const std::string& name, Tensor t) {
    NamedTensors list;
    list.emplace_back(name, std::move(t));
    return list;
  }
  NamedTensors pair(const std::string& module, Tensor a, Tensor b) {
    NamedTensors list;
    list.emplace_back(module + ".lora_A.weight", std::move(a)), list.emplace_back(module + ".lora_B.weight", std::move(b));
    return list;
  }
  Tensor random(DType t, Shape s, uint64_t seed, float scale = 1) { return random_tensor(arena, t, s, seed, scale); }
  // A good delta of one [5, 3] matrix, to be spoilt.
  NamedTensors good() { return pair("transformer.m", random(DType::bf16, {2, 3}, 1), random(DType::bf16, {5, 2}, 2)); }
  NamedTensors base() { return one("m.weight", random(DType::f32, {5, 3}, 3)); }

  std::string folder = test_folder();
  Arena arena;
};

TEST_F(LowRankTest, EqualsASumInDoubles) {
  struct Case {
    int64_t out, in, rank;
  };
  for (Case c : {Case{1, 1, 1}, Case{5, 19, 3}, Case{37, 70, 64}, Case{64, 16, 7}, Case{4, 33, 1}}) {
    for (DType delta : {DType::f32, DType::bf16, DType::f16}) {
      for (DType weight : {DType::f32, DType::bf16, DType::f16}) {
        for (double alpha : {double(c.rank), 0.3, 128.}) {
          SCOPED_TRACE(fmt::format("{}x{} rank {} {} over {} alpha {}", c.out, c.in, c.rank, dtype_name(delta), dtype_name(weight), alpha));
          Tensor a = random(delta, {c.rank, c.in}, 1), b = random(delta, {c.out, c.rank}, 2), m = random(weight, {c.out, c.in}, 3);
          auto va = to_floats(a), vb = to_floats(b), vm = to_floats(m);
          WeightStore w = must(store(one("m.weight", std::move(m)), pair("transformer.m", std::move(a), std::move(b)), c.rank, alpha));
          TensorView got = w.get("m.weight", {c.out, c.in});
          ASSERT_TRUE(got);
          EXPECT_EQ(got.dtype, DType::f32);
          for (int64_t i = 0; i < c.out; ++i) {
            for (int64_t j = 0; j < c.in; ++j) {
              double sum = 0, size = 0;
              for (int64_t r = 0; r < c.rank; ++r) {
                double term = double(vb[size_t(i * c.rank + r)]) * double(va[size_t(r * c.in + j)]);
                sum += term, size += std::fabs(term);
              }
              double scale = alpha / double(c.rank), base = vm[size_t(i * c.in + j)], want = base + scale * sum;
              // One rounding a term and an addition, one of the scale, its product, the last addition.
              double allowed = (scale * size * double(2 * c.rank + 3) + std::fabs(want)) * std::numeric_limits<float>::epsilon();
              ASSERT_NEAR(got.as<float>()[i * c.in + j], want, allowed) << i << " " << j;
            }
          }
          ZT_ASSERT_OK(w.finish());
        }
      }
    }
  }
}

TEST_F(LowRankTest, SameBitsForEveryThreadCount) {
  std::vector<float> first;
  for (int threads : {1, 2, 3, 8}) {
    WeightStore w = must(store(one("m.weight", random(DType::bf16, {101, 67}, 3)),
                               pair("m", random(DType::bf16, {16, 67}, 1), random(DType::bf16, {101, 16}, 2)), 16, 16, threads));
    auto got = to_floats(w.get("m.weight", {101, 67}));
    if (first.empty()) first = got;
    EXPECT_EQ(got, first) << threads;
  }
}

TEST_F(LowRankTest, ADeltaOfZerosChangesNoBit) {
  Tensor m = random(DType::bf16, {9, 21}, 3);
  auto want = to_floats(m);
  WeightStore w = must(store(one("m.weight", std::move(m)), pair("m", random(DType::f16, {4, 21}, 1), must(arena.zeros(DType::f16, {9, 4}))), 4, 1));
  EXPECT_EQ(to_floats(w.get("m.weight", {9, 21})), want);
}

TEST_F(LowRankTest, OtherTensorsAreReadAsTheyStand) {
  NamedTensors weights = base();
  weights.emplace_back("other.weight", random(DType::bf16, {4, 4}, 9));
  auto want = to_floats(weights.back().second);
  WeightStore w = must(store(weights, good(), 2, 2));
  TensorView got = w.get("other.weight", {4, 4});
  EXPECT_EQ(got.dtype, DType::bf16);
  EXPECT_EQ(to_floats(got), want);
  ZT_ASSERT_OK(w.check_finite());
}

TEST_F(LowRankTest, AMergedTensorGoesWhenItIsDropped) {
  WeightStore w = must(store(base(), good(), 2, 2));
  TensorView first = w.get("m.weight", {5, 3}), second = w.get("m.weight", {5, 3});
  EXPECT_NE(first.data, second.data);
  auto want = to_floats(second);
  w.drop(first);
  EXPECT_EQ(to_floats(second), want);
  w.drop(second);
  EXPECT_EQ(to_floats(w.get("m.weight", {5, 3})), want);
}

TEST_F(LowRankTest, AskingMergesNothing) {
  WeightStore w = must(store(base(), good(), 2, 2));
  EXPECT_TRUE(w.expect("m.weight", {5, 3}));
  EXPECT_FALSE(w.expect("m.weight", {3, 5}));
  EXPECT_FALSE(w.expect("n.weight", {5, 3}));
  expect_bad_model(w.finish(), {"base.safetensors with", "delta.safetensors", "m.weight is [5, 3]", "n.weight"});
}

TEST_F(LowRankTest, ProjectionsStandBesideTheWeights) {
  NamedTensors delta = good();
  delta.emplace_back("transformer.b.proj_l.weight", random(DType::bf16, {3, 3}, 5));
  delta.emplace_back("b.proj_l.bias", random(DType::f32, {3}, 6));
  auto weight = to_floats(delta[2].second), bias = to_floats(delta[3].second);
  WeightStore w = must(store(base(), delta, 2, 2));
  EXPECT_EQ(to_floats(w.get("b.proj_l.weight", {3, 3})), weight);
  EXPECT_EQ(to_floats(w.get("b.proj_l.bias", {3})), bias);
  expect_bad_model([&] { return must(store(base(), delta, 2, 2)).finish(); }(), {"extra", "b.proj_l.weight", "b.proj_l.bias"});
}

TEST_F(LowRankTest, Summary) {
  ASSERT_TRUE(write_named(folder + "/d.safetensors", good()).ok());
  EXPECT_EQ(must(LowRank::open(folder + "/d.safetensors", 2, 2))->summary(), "1 matrix changed");
}

TEST_F(LowRankTest, WhatDoesNotFitIsRefusedByItsKey) {
  auto refused = [&](const NamedTensors& delta, std::initializer_list<std::string> words, int64_t rank = 2) {
    auto s = store(base(), delta, rank, 2);
    ASSERT_FALSE(s.ok());
    expect_bad_model(s.status(), {"delta.safetensors"});
    expect_bad_model(s.status(), words);
  };
  auto with = [&](const std::string& name, Tensor t) {
    NamedTensors d = good();
    d.emplace_back(name, std::move(t));
    return d;
  };
  refused(pair("transformer.n", random(DType::f32, {2, 3}, 1), random(DType::f32, {5, 2}, 2)), {"transformer.n.lora_A.weight", "1 of 1"});
  refused(with("transformer.m.alpha", random(DType::f32, {1}, 1)), {"transformer.m.alpha", "neither"});
  refused(with("transformer.m.diff", random(DType::f32, {5, 3}, 1)), {"transformer.m.diff"});
  refused(with("lora_unet_m.lora_up.weight", random(DType::f32, {5, 2}, 1)), {"lora_unet_m.lora_up.weight"});
  refused(with("m.lora_A.weight", random(DType::f32, {2, 3}, 1)), {"lora_A.weight", "twice"});
  refused(one("transformer.m.lora_A.weight", random(DType::f32, {2, 3}, 1)), {"m.lora_A.weight has no m.lora_B.weight"});
  refused(one("transformer.m.lora_B.weight", random(DType::f32, {5, 2}, 1)), {"m.lora_B.weight has no m.lora_A.weight"});
  refused(pair("m", random(DType::f32, {2, 4}, 1), random(DType::f32, {5, 2}, 2)), {"m.lora_A.weight", "[5, 4]", "[5, 3]"});
  refused(pair("m", random(DType::f32, {2, 3}, 1), random(DType::f32, {6, 2}, 2)), {"m.lora_A.weight", "[6, 3]", "[5, 3]"});
  refused(pair("m", random(DType::f32, {5, 2}, 1), random(DType::f32, {2, 3}, 2)), {"m.lora_A.weight", "[5, 2]", "rank 2"});
  refused(pair("m", random(DType::f32, {2, 3}, 1), random(DType::f32, {5, 3}, 2)), {"m.lora_B.weight", "[5, 3]", "rank 2"});
  refused(good(), {"transformer.m.lora_A.weight", "rank 3"}, 3);
  refused(pair("m", random(DType::f32, {2, 3, 1}, 1), random(DType::f32, {5, 2}, 2)), {"m.lora_A.weight", "[2, 3, 1]"});
  refused(pair("m", must(arena.zeros(DType::i8, {2, 3})), random(DType::f32, {5, 2}, 2)), {"m.lora_A.weight", "i8"});
  refused(pair("m", must(arena.zeros(DType::f8_e4m3, {2, 3})), random(DType::f32, {5, 2}, 2)), {"m.lora_A.weight", "f8"});
  NamedTensors vector;
  vector.emplace_back("m.weight", random(DType::f32, {5}, 1));
  expect_bad_model(store(vector, good(), 2, 2).status(), {"transformer.m.lora_A.weight", "m.weight is [5]"});
}

TEST_F(LowRankTest, ManyUnknownKeysAreCountedAndSomeNamed) {
  NamedTensors delta = good();
  for (int i = 0; i < 50; ++i) delta.emplace_back(fmt::format("x{:02}.lora_up.weight", i), random(DType::f32, {1}, 1));
  expect_bad_model(store(base(), delta, 2, 2).status(), {"50 keys", "x00.lora_up.weight", "and 30 more"});
}

TEST_F(LowRankTest, SumsThatAreNotFiniteAreNamed) {
  Tensor b = random(DType::f32, {5, 2}, 2);
  for (float& v : std::span(b.as<float>(), 10)) v = 3e38f;
  Tensor a = random(DType::f32, {2, 3}, 1);
  for (float& v : std::span(a.as<float>(), 6)) v = 2;
  WeightStore w = must(store(base(), pair("m", std::move(a), std::move(b)), 2, 2));
  EXPECT_FALSE(w.get("m.weight", {5, 3}));
  expect_bad_model(w.finish(), {"not finite with the delta", "m.weight (15 of 15 values)"});
}

TEST_F(LowRankTest, FactorsThatAreNotFiniteAreFoundInTheirFile) {
  NamedTensors delta = good();
  static_cast<uint16_t*>(delta[0].second.data())[1] = 0x7fc0;
  ASSERT_TRUE(write_named(folder + "/d.safetensors", delta).ok());
  expect_bad_model(must(LowRank::open(folder + "/d.safetensors", 2, 2))->file().check_finite(), {"d.safetensors", "m.lora_A.weight (1 of 6"});
}

}  // namespace
}  // namespace zt
