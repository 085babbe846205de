// Many small random plans with everything a plan can carry, on every executor of this machine, against the plain twin.
#include <array>
#include <cmath>
#include <map>

#include "tests/kernels/attention_support.h"
#include "tests/kernels/plan_random.h"

namespace zt::testing {
namespace {

class AttentionRandom : public ::testing::TestWithParam<DType> {};

INSTANTIATE_TEST_SUITE_P(Types, AttentionRandom, ::testing::Values(DType::f32, DType::bf16),
                         [](const auto& i) { return std::string(dtype_name(i.param)); });

// Squares over many results. A single small result is too few numbers to hold its error against another one's.
struct Errors {
  double own = 0, naive = 0, norm = 0, largest = 0;
  void add(const std::vector<float>& got, const std::vector<float>& rough, const std::vector<float>& right, double largest_lse) {
    largest = std::max(largest, largest_lse);
    for (size_t i = 0; i < right.size(); ++i) {
      own += std::pow(double(got[i]) - double(right[i]), 2), naive += std::pow(double(rough[i]) - double(right[i]), 2);
      norm += std::pow(double(right[i]), 2);
    }
  }
  void check(DType dtype, const std::string& what) const {
    EXPECT_LE(own / norm, std::max({4 * naive / norm, rounding_nmse(dtype), logit_nmse(largest)}))
        << what << ", naive " << naive / norm;
  }
};

TEST_P(AttentionRandom, PlansWithEverything) {
  constexpr int kPlans = 1000;
  // Each result alone: the project's bounds for a kernel against its plain twin.
  const double most = GetParam() == DType::bf16 ? 5e-4 : 1e-7;
  Random random(71);
  std::map<std::string, std::array<Errors, 3>> errors;  // out with and without a linear part, block mass
  for (int i = 0; i < kPlans && !HasFailure(); ++i) {
    AttentionShape s{1 + random.below(2), 1 + random.below(3), 0, 0, 0};
    PlanPtr plan = must(AttentionPlan::make(random_parts(random, {.max_tokens = i % 10 ? 50 : 400, .heads = s.heads})));
    constexpr int64_t kSizes[] = {1, 5, 8, 16, 24, 33, 48, 64};
    s.nq = plan->nq(), s.nk = plan->nk(), s.d = i % 100 == 50 ? 136 : kSizes[random.below(i % 10 ? 6 : 8)];
    AttentionInputs in(s, GetParam(), random.below(2) == 0, uint64_t(i), float(0.5 + 1.5 * random.uniform()));
    // Mostly one thread: starting more takes longer than these plans do.
    AttentionOptions o{.threads = i % 20 ? 1 : 3, .mass = random.below(2) == 0};
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
      expect_accurate(got, want, GetParam(), fmt::format("plan {}: {} on {}", i, s.str(), isa_name(t.isa)), o, most);
      std::array<Errors, 3>& e = errors[t.executor];
      if (o.out) e[plan->has_linear()].add(got.out, want.naive.out, want.right.out, largest_lse(want.right, o));
      if (o.mass) e[2].add(got.mass, want.naive.mass, want.right.mass, largest_lse(want.right, o));
    }
  }
  for (const auto& [name, e] : errors) {
    e[0].check(GetParam(), name + ": out");
    e[1].check(GetParam(), name + ": out with a linear part");
    e[2].check(GetParam(), name + ": block mass");
  }
}

}  // namespace
}  // namespace zt::testing
