// Block mass, and calls that want nothing else.
#include <cmath>
#include <cstring>
#include <numeric>

#include "tests/kernels/attention_support.h"
#include "tests/kernels/plan_random.h"

namespace zt::testing {
namespace {

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * 4) == 0;
}

class AttentionMass : public ::testing::TestWithParam<AttentionTarget> {
 protected:
  // Dense and lists, blocks that fill a tile, share one and need several.
  static std::vector<PlanPtr> plans() {
    std::vector<PlanPtr> list;
    for (auto [bq, bk] : std::vector<std::pair<int, int>>{{64, 64}, {128, 64}, {48, 100}, {300, 16}, {7, 130}}) {
      list.push_back(AttentionPlan::dense(410, 330, bq, bk));
      PlanPtr some = random_plan({1, 3, 410, 330, 32}, 3, bq, bk, 0.5, true, uint64_t(bq));
      list.push_back(some);
      list.push_back(with_masks_orders_and_head_map(*some, 3, uint64_t(bk)));
    }
    return list;
  }
  AttentionInputs inputs(uint64_t seed) const { return {{1, 3, 410, 330, 32}, GetParam().dtype, false, seed, 1.5f}; }
  AttentionResult run(const AttentionPlan& plan, const AttentionInputs& in, const AttentionOptions& o) const {
    AttentionResult r = run_attention(plan, in, GetParam().isa, o);
    EXPECT_EQ(r.name, GetParam().executor);
    EXPECT_TRUE(r.guards_intact);
    return r;
  }
};

INSTANTIATE_TEST_SUITE_P(Targets, AttentionMass, ::testing::ValuesIn(attention_targets()), target_name);

TEST_P(AttentionMass, RowsSumToTheTokensWithKeys) {
  AttentionInputs in = inputs(3);
  for (const PlanPtr& plan : plans()) {
    AttentionResult r = run(*plan, in, {.mass = true});
    int64_t q_blocks = plan->parts().q.count(), k_blocks = plan->parts().k.count();
    for (int64_t h = 0; h < 3; ++h) {
      std::vector<double> tokens(static_cast<size_t>(q_blocks));
      const TokenOrder& order = plan->parts().q_order;
      int set = order.set_of(h);
      for (int64_t b = 0; b < q_blocks; ++b) {
        for (int64_t slot = plan->q_starts()[size_t(b)]; slot < plan->q_starts()[size_t(b) + 1]; ++slot) {
          int64_t q = set < 0 ? slot : order.order[size_t(set * 410 + slot)];
          tokens[size_t(b)] += std::isfinite(r.lse[size_t(h * 410 + q)]);
        }
        const float* row = r.mass.data() + (h * q_blocks + b) * k_blocks;
        // Sums of the same numbers in another order: at most a few hundred f32 additions.
        EXPECT_NEAR(std::accumulate(row, row + k_blocks, 0.0), tokens[size_t(b)], tokens[size_t(b)] * 1e-5);
      }
    }
  }
}

TEST_P(AttentionMass, AskingForItChangesNothingElse) {
  AttentionInputs in = inputs(5);
  for (const PlanPtr& plan : plans()) {
    AttentionResult without = run(*plan, in, {}), with = run(*plan, in, {.mass = true}),
                    alone = run(*plan, in, {.out = false, .mass = true});
    AttentionResult sums = run(*plan, in, {.out = false});
    EXPECT_TRUE(same_bits(with.out, without.out));
    EXPECT_TRUE(same_bits(with.lse, without.lse) && same_bits(alone.lse, without.lse) && same_bits(sums.lse, without.lse));
    EXPECT_TRUE(same_bits(alone.mass, with.mass));
  }
}

TEST_P(AttentionMass, EqualForEveryThreadCount) {
  AttentionInputs in = inputs(7);
  for (const PlanPtr& plan : plans()) {
    AttentionResult one = run(*plan, in, {.threads = 1, .mass = true});
    for (int threads : {2, 3}) EXPECT_TRUE(same_bits(run(*plan, in, {.threads = threads, .mass = true}).mass, one.mass));
  }
}

TEST_P(AttentionMass, OwnLogSumExpsGivenBackGiveTheSame) {
  AttentionInputs in = inputs(9);
  for (const PlanPtr& plan : plans()) {
    AttentionResult own = run(*plan, in, {.mass = true}), given = run(*plan, in, {.mass = true, .mass_lse = own.lse});
    // A log-sum-exp of up to 32 rounded to f32 is off by 2^-20 at most, and so is the mass, relatively.
    for (size_t i = 0; i < own.mass.size(); ++i) ASSERT_NEAR(given.mass[i], own.mass[i], own.mass[i] * 0x1p-19);
  }
}

TEST_P(AttentionMass, DenseEqualsAllBlocksListed) {
  AttentionInputs in = inputs(11);
  for (auto [bq, bk] : std::vector<std::pair<int, int>>{{64, 64}, {128, 64}, {300, 16}}) {
    AttentionResult dense = run(*AttentionPlan::dense(410, 330, bq, bk), in, {.mass = true});
    EXPECT_TRUE(same_bits(dense.mass, run(*all_blocks_plan(410, 330, bq, bk), in, {.mass = true}).mass));
  }
}

// References that overflow are raised in the middle of a row; what was summed before must follow.
TEST_P(AttentionMass, LogitsThatRise) {
  for (float top : {11.f, 101.f, 1000.f}) {
    AttentionInputs in = inputs(13);
    for (int64_t h = 0; h < 3; ++h) {
      for (int64_t n = 0; n < 330; ++n) {
        for (int64_t c = 0; c < 32; ++c)
          in.set(in.args.k, 0, h, n, c, in.get(in.args.k, 0, h, n, c) * (1 + (top - 1) * float(n) / 330));
      }
    }
    for (PlanPtr plan : {AttentionPlan::dense(410, 330, 48, 64), random_plan(in.shape, 3, 300, 16, 0.5, true, 23)}) {
      AttentionOptions o{.mass = true};
      expect_accurate(run(*plan, in, o), *plan, in, fmt::format("ramp to {}", top), o);
    }
  }
}

// Old log-sum-exps far from what this call has: no weight becomes infinite or not a number where the sum is finite.
TEST_P(AttentionMass, ForeignLogSumExps) {
  AttentionInputs in = inputs(15);
  PlanPtr plan = AttentionPlan::dense(410, 330);
  std::vector<float> lse = run(*plan, in, {}).lse;
  for (float shift : {-60.f, 60.f, 1e5f}) {
    AttentionOptions o{.mass = true, .mass_lse = lse};
    for (float& x : o.mass_lse) x += shift;
    o.mass_lse[5] = INFINITY, o.mass_lse[6] = NAN, o.mass_lse[7] = -INFINITY;
    expect_accurate(run(*plan, in, o), *plan, in, fmt::format("shifted by {}", shift), o);
  }
}

// What is not a number stays in the sums of its own query block, or, in a key, of rows that read it.
TEST_P(AttentionMass, NotANumberStaysInItsBlocks) {
  AttentionInputs clean = inputs(17), in = inputs(17);
  PlanPtr plan = random_plan(clean.shape, 1, 48, 64, 0.5, false, 21);
  in.set(in.args.q, 0, 1, plan->q_starts()[2], 5, NAN);
  AttentionResult want = run(*plan, clean, {.mass = true}), got = run(*plan, in, {.mass = true});
  int64_t q_blocks = plan->parts().q.count(), k_blocks = plan->parts().k.count();
  for (int64_t i = 0; i < int64_t(got.mass.size()); ++i) {
    ASSERT_TRUE(std::isfinite(got.mass[size_t(i)]));
    if (i / k_blocks == q_blocks + 2) continue;
    ASSERT_EQ(got.mass[size_t(i)], want.mass[size_t(i)]);
  }
}

}  // namespace
}  // namespace zt::testing
