// Many small random plans with everything a plan can carry, on every executor of this machine, against the plain twin.
#include <cmath>

#include "tests/kernels/attention_support.h"
#include "tests/kernels/plan_random.h"

namespace zt::testing {
namespace {

class AttentionRandom : public ::testing::TestWithParam<DType> {};

INSTANTIATE_TEST_SUITE_P(Types, AttentionRandom, ::testing::Values(DType::f32, DType::bf16),
                         [](const auto& i) { return std::string(dtype_name(i.param)); });

TEST_P(AttentionRandom, PlansWithEverything) {
  constexpr int kPlans = 500;
  Random random(71);
  for (int i = 0; i < kPlans && !HasFailure(); ++i) {
    AttentionShape s{1 + random.below(2), 1 + random.below(3), 0, 0, 0};
    PlanPtr plan = must(AttentionPlan::make(random_parts(random, {.max_tokens = i % 10 ? 50 : 400, .heads = s.heads})));
    constexpr int64_t kSizes[] = {1, 5, 8, 16, 24, 33, 48, 64};
    s.nq = plan->nq(), s.nk = plan->nk(), s.d = kSizes[random.below(i % 10 ? 6 : 8)];
    AttentionInputs in(s, GetParam(), random.below(2) == 0, uint64_t(i), float(0.5 + 1.5 * random.uniform()));
    AttentionOptions o{.threads = int(1 + random.below(3)), .mass = random.below(2) == 0};
    if (o.mass && random.below(3) == 0) {
      // Log-sum-exps of another time: near those of now, some rows without one.
      o.mass_lse = ref_attention(*plan, in).lse;
      for (float& x : o.mass_lse) x = random.below(9) ? x + random.normal() : -INFINITY;
    }
    o.out = !(o.mass && random.below(3) == 0);
    AttentionExpectation want = expectation(*plan, in, o);
    for (const AttentionTarget& t : attention_targets()) {
      if (t.dtype != GetParam()) continue;
      AttentionResult got = run_attention(*plan, in, t.isa, o);
      EXPECT_EQ(got.name, t.executor);
      expect_accurate(got, want, GetParam(), fmt::format("plan {}: {} on {}", i, s.str(), isa_name(t.isa)), o);
    }
  }
}

}  // namespace
}  // namespace zt::testing
