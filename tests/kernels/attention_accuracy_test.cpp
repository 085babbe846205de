// Every executor of this machine against the plain twin, on shapes that do not fit its tiles.
#include <cmath>

#include "tests/kernels/attention_support.h"

namespace zt::testing {
namespace {

class AttentionAccuracy : public ::testing::TestWithParam<AttentionTarget> {
 protected:
  void check(const AttentionPlan& plan, const AttentionInputs& in, const std::string& what, float scale = 0) {
    AttentionResult got = run_attention(plan, in, GetParam().isa, {.scale = scale});
    EXPECT_EQ(got.name, GetParam().executor) << what;
    expect_accurate(got, plan, in, what, {.scale = scale});
  }
};

INSTANTIATE_TEST_SUITE_P(Targets, AttentionAccuracy, ::testing::ValuesIn(attention_targets()), target_name);

TEST_P(AttentionAccuracy, DenseWithAnyHeadSize) {
  for (int64_t d : {64, 128, 1, 6, 10, 12, 24, 32, 33, 80, 96, 384}) {
    AttentionShape s{1, 2, 70, 70, d};
    AttentionInputs in(s, GetParam().dtype, true, 100 + uint64_t(d));
    check(*AttentionPlan::dense(70, 70), in, s.str());
  }
}

TEST_P(AttentionAccuracy, DenseWithAnyLength) {
  for (auto [nq, nk] : std::vector<std::pair<int64_t, int64_t>>{
           {1, 1}, {1, 300}, {5, 2}, {63, 65}, {64, 64}, {130, 257}, {200, 31}, {333, 333}}) {
    AttentionShape s{2, 1, nq, nk, 64};
    AttentionInputs in(s, GetParam().dtype, true, uint64_t(nq * 1000 + nk));
    check(*AttentionPlan::dense(nq, nk), in, s.str());
  }
}

TEST_P(AttentionAccuracy, NoKeysAndNoQueries) {
  AttentionShape s{1, 2, 9, 0, 16};
  AttentionInputs none(s, GetParam().dtype, false, 1);
  AttentionResult got = run_attention(*AttentionPlan::dense(9, 0), none, GetParam().isa);
  EXPECT_TRUE(got.guards_intact);
  for (float x : got.out) EXPECT_EQ(x, 0.f);
  for (float x : got.lse) EXPECT_EQ(x, -INFINITY);
  s = {1, 2, 0, 9, 16};
  AttentionInputs idle(s, GetParam().dtype, false, 1);
  EXPECT_TRUE(run_attention(*AttentionPlan::dense(0, 9), idle, GetParam().isa).guards_intact);
}

TEST_P(AttentionAccuracy, RandomLists) {
  Random random(7);
  for (int i = 0; i < 16; ++i) {
    int blocks[] = {1, 7, 16, 32, 63, 64, 100, 128, 200};
    int64_t sizes[] = {6, 12, 64, 64, 96, 128};
    AttentionShape s{1 + random.below(2), 1 + random.below(3), 1 + random.below(200), 1 + random.below(300),
                     sizes[random.below(6)]};
    int block_q = blocks[random.below(9)], block_k = blocks[random.below(9)];
    int sets = random.below(2) ? 1 : int(s.heads);
    bool bias = random.below(2) == 0;
    PlanPtr plan = random_plan(s, sets, block_q, block_k, 0.1 + 0.8 * random.uniform(), bias, uint64_t(i));
    AttentionInputs in(s, GetParam().dtype, random.below(2) == 0, 31 * uint64_t(i), 1.5f);
    check(*plan, in, fmt::format("case {}: {} blocks {} x {} sets {} bias {}", i, s.str(), block_q, block_k, sets, bias));
  }
}

TEST_P(AttentionAccuracy, MasksOrdersAndHeadMaps) {
  Random random(13);
  for (int i = 0; i < 8; ++i) {
    int blocks[] = {7, 16, 64, 64, 100, 200};
    AttentionShape s{1, 3, 1 + random.below(200), 1 + random.below(300), i % 2 ? 64 : 32};
    int block_q = blocks[random.below(6)], block_k = blocks[random.below(6)];
    PlanPtr lists = random_plan(s, 2, block_q, block_k, 0.7, i % 2 == 0, uint64_t(i));
    PlanPtr plan = with_masks_orders_and_head_map(*lists, 3, uint64_t(i));
    AttentionInputs in(s, GetParam().dtype, true, 37 * uint64_t(i));
    check(*plan, in, fmt::format("case {}: {} blocks {} x {}", i, s.str(), block_q, block_k));
  }
}

TEST_P(AttentionAccuracy, OtherScales) {
  AttentionShape s{1, 2, 100, 100, 64};
  AttentionInputs in(s, GetParam().dtype, true, 5);
  for (float scale : {1.f, 0.01f, -0.2f}) check(*AttentionPlan::dense(100, 100), in, fmt::format("scale {}", scale), scale);
}

// Cross-attention to a padded text: one key that stands for 497 equal ones.
TEST_P(AttentionAccuracy, BiasStandsForEqualKeys) {
  AttentionShape s{1, 2, 100, 512, 64}, folded{1, 2, 100, 16, 64};
  AttentionInputs full(s, GetParam().dtype, false, 9), few(folded, GetParam().dtype, false, 9);
  for (int64_t h = 0; h < 2; ++h) {
    for (int64_t c = 0; c < 64; ++c) {
      for (int64_t n = 16; n < 512; ++n) {
        full.set(full.args.k, 0, h, n, c, full.get(full.args.k, 0, h, 15, c));
        full.set(full.args.v, 0, h, n, c, full.get(full.args.v, 0, h, 15, c));
      }
      for (int64_t n = 0; n < 16; ++n) {
        few.set(few.args.k, 0, h, n, c, full.get(full.args.k, 0, h, n, c));
        few.set(few.args.v, 0, h, n, c, full.get(full.args.v, 0, h, n, c));
      }
    }
  }
  PlanParts p;
  p.q = Blocks::uniform(100, 64);
  p.k = {15, {15, 1}};
  p.k_bias = {0, std::log(497.f)};
  p.dense = true;
  PlanPtr plan = must(AttentionPlan::make(p));
  check(*plan, few, "folded");
  AttentionResult got = run_attention(*plan, few, GetParam().isa), want = ref_attention(*AttentionPlan::dense(100, 512), full);
  double bound = GetParam().dtype == DType::bf16 ? 2e-5 : 1e-12;  // five standard errors of bf16, and of 16 roundings in f32
  EXPECT_LE(nmse(got.out, want.out), bound);
}

TEST(AttentionGeneric, TakesThePlainTwin) {
  for (DType t : {DType::f32, DType::bf16}) {
    AttentionInputs in({1, 2, 40, 50, 12}, t, false, 3);
    PlanPtr plan = random_plan(in.shape, 2, 16, 16, 0.5, true, 5);
    AttentionResult got = run_attention(*plan, in, Isa::generic);
    EXPECT_EQ(got.name, "ref");
    expect_accurate(got, *plan, in, "generic");
  }
}

TEST(AttentionRefusal, SaysWhyInOneLine) {
  auto machine = make_machine();
  PlanPtr plan = AttentionPlan::dense(64, 64);
  for (const auto& e : machine->ops->attention) {
    ExecContext generic = machine->ctx;
    generic.isa = Isa::generic;
    std::string why = e->why_not(*plan, {}, generic);
    EXPECT_EQ(why.empty(), e->name() == "ref");
    EXPECT_EQ(why.find('\n'), std::string::npos);
    AttentionProblem f16;
    f16.dtype = DType::f16;
    EXPECT_EQ(e->why_not(*plan, f16, machine->ctx).empty(), e->name() == "ref") << e->name();
  }
  EXPECT_EQ(machine->ops->attention.back()->name(), "ref");
}

}  // namespace
}  // namespace zt::testing
