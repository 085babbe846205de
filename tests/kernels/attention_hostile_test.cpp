// Inputs that hurt: overflow of the fixed reference, values that are not numbers, rows without keys.
#include <cmath>
#include <cstring>
#include <limits>

#include "tests/kernels/attention_support.h"

namespace zt::testing {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

class AttentionHostile : public ::testing::TestWithParam<AttentionTarget> {
 protected:
  void check(const AttentionPlan& plan, const AttentionInputs& in, const std::string& what) {
    AttentionResult got = run_attention(plan, in, GetParam().isa);
    EXPECT_EQ(got.name, GetParam().executor);
    expect_accurate(got, plan, in, what);
  }
  // Every logit of key n is `logit(n)`: q is constant, k has one channel.
  template <class F>
  AttentionInputs with_logits(int64_t n, F&& logit) {
    AttentionInputs in({1, 1, 21, n, 16}, GetParam().dtype, false, 41);
    for (int64_t i = 0; i < 21; ++i) {
      for (int64_t c = 0; c < 16; ++c) in.set(in.args.q, 0, 0, i, c, c == 0 ? 4.f : 0.f);
    }
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t c = 0; c < 16; ++c) in.set(in.args.k, 0, 0, i, c, c == 0 ? float(logit(i)) : 0.f);
    }
    return in;
  }
};

INSTANTIATE_TEST_SUITE_P(Targets, AttentionHostile, ::testing::ValuesIn(attention_targets()), target_name);

TEST_P(AttentionHostile, RampsAlongTheKeys) {
  for (float top : {3.f, 11.f, 31.f, 101.f, 1000.f}) {
    AttentionInputs in({1, 1, 70, 600, 64}, GetParam().dtype, false, 43);
    for (int64_t n = 0; n < 600; ++n) {
      for (int64_t c = 0; c < 64; ++c)
        in.set(in.args.k, 0, 0, n, c, in.get(in.args.k, 0, 0, n, c) * (1 + (top - 1) * float(n) / 600));
    }
    check(*AttentionPlan::dense(70, 600), in, fmt::format("ramp to {}", top));
  }
}

TEST_P(AttentionHostile, LogitsAtTheEdgesOfOverflow) {
  // The limit of a pass is 2^80 = e^55; f32 ends at 2^128 = e^88.7; steps within, across and beyond both.
  for (double step : {0.05, 0.09, 0.15, 0.3, 1.0, 30.0}) {
    check(*AttentionPlan::dense(21, 600), with_logits(600, [&](int64_t n) { return step * double(n); }),
          fmt::format("rising by {}", step));
    check(*AttentionPlan::dense(21, 600), with_logits(600, [&](int64_t n) { return -step * double(n); }),
          fmt::format("falling by {}", step));
  }
  for (double jump : {54.0, 56.0, 80.0, 88.0, 90.0, 1e4, 1e30}) {
    check(*AttentionPlan::dense(21, 600), with_logits(600, [&](int64_t n) { return n == 599 ? jump : 0; }),
          fmt::format("last key at {}", jump));
    check(*AttentionPlan::dense(21, 600), with_logits(600, [&](int64_t n) { return n == 0 ? jump : 0; }),
          fmt::format("first key at {}", jump));
    check(*AttentionPlan::dense(21, 600), with_logits(600, [&](int64_t n) { return n < 300 ? -jump : 0; }),
          fmt::format("first half at -{}", jump));
  }
}

TEST_P(AttentionHostile, EqualLogitsGiveTheMean) {
  for (double logit : {0.0, 1.0, -1000.0, 1e30}) {
    check(*AttentionPlan::dense(21, 333), with_logits(333, [&](int64_t) { return logit; }), fmt::format("all logits {}", logit));
  }
}

TEST_P(AttentionHostile, BiasAtTheEndOfTheRangeRemovesABlock) {
  AttentionInputs in({1, 1, 70, 300, 64}, GetParam().dtype, false, 47, 3.f);
  // Other logits far below what a row starts with.
  for (int64_t n = 0; n < 300; ++n) in.set(in.args.k, 0, 0, n, 0, -800.f);
  for (int64_t i = 0; i < 70; ++i) in.set(in.args.q, 0, 0, i, 0, 20.f);
  PlanParts p;
  p.q = Blocks::uniform(70, 64), p.k = Blocks::uniform(300, 64);
  p.dense = true;
  for (float low : {-1e30f, -std::numeric_limits<float>::max()}) {
    p.k_bias = {low, 0, low, 0, 0};
    check(*must(AttentionPlan::make(p)), in, fmt::format("some blocks at {}", low));
  }
  p.k_bias = {-1e30f, -1e30f, -1e30f, -1e30f, -1e30f};
  check(*must(AttentionPlan::make(p)), in, "all blocks alike");
}

TEST_P(AttentionHostile, RowsWithoutKeysAreZero) {
  AttentionShape s{1, 2, 200, 200, 64};
  AttentionInputs in(s, GetParam().dtype, true, 53);
  PlanParts p;
  p.q = Blocks::uniform(200, 64), p.k = Blocks::uniform(200, 64);
  p.row_offsets = {0, 0, 2, 2, 3};
  p.cols = {1, 3, 0};
  AttentionResult got = run_attention(*must(AttentionPlan::make(p)), in, GetParam().isa);
  EXPECT_TRUE(got.guards_intact);
  for (int64_t h = 0; h < 2; ++h) {
    for (int64_t q = 0; q < 200; ++q) {
      bool empty = q < 64 || (q >= 128 && q < 192);
      EXPECT_EQ(got.lse[size_t(h * 200 + q)] == -kInf, empty) << q;
      for (int64_t c = 0; c < 64 && empty; ++c) ASSERT_EQ(got.out[size_t((h * 200 + q) * 64 + c)], 0.f);
    }
  }
}

// What is not a number in one query, or in keys and values only some rows read, leaves all other rows bit for bit alone.
TEST_P(AttentionHostile, NotANumberStaysInItsRows) {
  AttentionShape s{1, 2, 200, 200, 64};
  PlanParts p;
  p.q = Blocks::uniform(200, 64), p.k = Blocks::uniform(200, 64);
  p.row_offsets = {0, 2, 4, 6, 8};
  p.cols = {0, 1, 0, 2, 1, 3, 2, 3};
  PlanPtr plan = must(AttentionPlan::make(p));
  AttentionInputs clean(s, GetParam().dtype, true, 59);
  AttentionResult want = run_attention(*plan, clean, GetParam().isa);
  for (float bad : {kNan, kInf, -kInf, std::numeric_limits<float>::max()}) {
    for (int which = 0; which < 3; ++which) {
      AttentionInputs in(s, GetParam().dtype, true, 59);
      const TensorView& t = which == 0 ? in.args.q : which == 1 ? in.args.k : in.args.v;
      in.set(t, 0, 1, 70, 5, bad);  // head 1, block 1
      AttentionResult got = run_attention(*plan, in, GetParam().isa);
      EXPECT_TRUE(got.guards_intact);
      for (int64_t row = 0; row < 400; ++row) {
        int64_t h = row / 200, block = row % 200 / 64;
        bool own = h == 1 && (which == 0 ? row % 200 == 70 : block == 0 || block == 2);
        if (own) continue;
        ASSERT_EQ(std::memcmp(&got.out[size_t(row * 64)], &want.out[size_t(row * 64)], 64 * 4), 0)
            << "row " << row << " tensor " << which;
        ASSERT_EQ(got.lse[size_t(row)], want.lse[size_t(row)]);
      }
      if (std::isnan(bad)) {
        int64_t row = 200 + (which == 0 ? 70 : 3), channel = which == 2 ? 5 : 0;
        EXPECT_TRUE(std::isnan(got.out[size_t(row * 64 + channel)])) << "NaN must not vanish, tensor " << which;
      }
    }
  }
}

TEST_P(AttentionHostile, DenormalsAndZeros) {
  AttentionInputs in({1, 1, 70, 130, 64}, GetParam().dtype, false, 61, 1e-39f);
  AttentionResult got = run_attention(*AttentionPlan::dense(70, 130), in, GetParam().isa);
  // All logits are 0; bf16 units treat denormals as zero, so only the sum of weights is exact.
  for (float x : got.lse) ASSERT_NEAR(x, std::log(130.0), GetParam().dtype == DType::bf16 ? 0x1p-8 : 1e-5);
  for (float x : got.out) ASSERT_LT(std::abs(x), 1e-38f);
}

}  // namespace
}  // namespace zt::testing
