// Bit-equality: thread counts, repeats, plans that mean the same, and rows that do not touch each other.
#include <cstring>

#include "tests/kernels/attention_support.h"

namespace zt::testing {
namespace {

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * 4) == 0;
}

class AttentionBits : public ::testing::TestWithParam<AttentionTarget> {};

INSTANTIATE_TEST_SUITE_P(Targets, AttentionBits, ::testing::ValuesIn(attention_targets()), target_name);

TEST_P(AttentionBits, EqualForEveryThreadCountAndRepeat) {
  AttentionShape s{2, 3, 300, 280, 64};
  AttentionInputs in(s, GetParam().dtype, false, 3, 2.f);
  for (const PlanPtr& plan : {AttentionPlan::dense(300, 280), random_plan(s, 3, 64, 32, 0.4, true, 11)}) {
    AttentionResult one = run_attention(*plan, in, GetParam().isa, {.threads = 1});
    for (int threads : {1, 2, 3}) {
      AttentionResult again = run_attention(*plan, in, GetParam().isa, {.threads = threads});
      EXPECT_TRUE(same_bits(one.out, again.out) && same_bits(one.lse, again.lse)) << threads << " threads";
    }
  }
}

TEST_P(AttentionBits, DenseEqualsAllBlocksListed) {
  for (auto [bq, bk] : std::vector<std::pair<int, int>>{{64, 64}, {128, 64}, {48, 96}, {16, 130}}) {
    AttentionShape s{1, 2, 210, 270, 96};
    AttentionInputs in(s, GetParam().dtype, false, 17);
    AttentionResult dense = run_attention(*AttentionPlan::dense(210, 270, bq, bk), in, GetParam().isa);
    AttentionResult lists = run_attention(*all_blocks_plan(210, 270, bq, bk), in, GetParam().isa);
    EXPECT_TRUE(same_bits(dense.out, lists.out) && same_bits(dense.lse, lists.lse)) << bq << " x " << bk;
  }
}

TEST_P(AttentionBits, LseIsOptionalAndChangesNothing) {
  AttentionShape s{1, 2, 90, 90, 64};
  AttentionInputs in(s, GetParam().dtype, true, 23);
  PlanPtr plan = AttentionPlan::dense(90, 90);
  AttentionResult with = run_attention(*plan, in, GetParam().isa),
                  without = run_attention(*plan, in, GetParam().isa, {.lse = false});
  EXPECT_TRUE(same_bits(with.out, without.out));
  EXPECT_TRUE(without.guards_intact);
}

// Heads are packed in groups of limited size; the cut between groups must not show.
TEST_P(AttentionBits, HeadsOfOneGroupOrManyAreTheSame) {
  constexpr int64_t kHeads = 5, kRows = 8, kKeys = 33000, kDim = 64;  // 8 or 17 MB a head, groups of 32 MB at most
  AttentionInputs in({1, kHeads, kRows, 1, kDim}, GetParam().dtype, false, 29),
      one({1, 1, kRows, 1, kDim}, GetParam().dtype, false, 29);
  in.shape.nk = one.shape.nk = kKeys;
  // Keys one element apart: they overlap, so that many of them are made quickly.
  Arena arena;
  Tensor numbers = random_tensor(arena, GetParam().dtype, {2, kHeads, kKeys + kDim}, 31);
  auto overlapping = [&](int64_t which) {
    TensorView t = numbers.view().slice(0, which, 1);
    t.shape = {1, kHeads, kKeys, kDim};
    t.strides = {0, kKeys + kDim, 1, 1};
    return t;
  };
  in.args.k = overlapping(0), in.args.v = overlapping(1);
  PlanPtr plan = AttentionPlan::dense(kRows, kKeys);
  AttentionResult all = run_attention(*plan, in, GetParam().isa);
  EXPECT_TRUE(all.guards_intact);
  for (int64_t h = 0; h < kHeads; ++h) {
    one.args.q = in.args.q.slice(1, h, 1);
    one.args.k = in.args.k.slice(1, h, 1);
    one.args.v = in.args.v.slice(1, h, 1);
    AttentionResult r = run_attention(*plan, one, GetParam().isa);
    EXPECT_EQ(std::memcmp(r.out.data(), all.out.data() + h * kRows * kDim, kRows * kDim * 4), 0) << "head " << h;
  }
}

}  // namespace
}  // namespace zt::testing
