// The linear part: bits, exact zeros, sums taken away again, and sizes that need more than one tile of channels.
#include <cmath>
#include <cstring>

#include "tests/kernels/attention_support.h"
#include "tests/kernels/plan_random.h"

namespace zt::testing {
namespace {

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * 4) == 0;
}

constexpr int64_t kTokens = 420, kHeads = 3;

PlanPtr with_linear(const AttentionPlan& plan, LinearScope scope, FeatureMap feature, bool projection, Blend blend = Blend::sum,
                    double listed = 0.3) {
  Random random(91);
  PlanParts p = plan.parts();
  LinearPart l{scope, feature, projection, blend, {}, {}, {}};
  if (scope == LinearScope::listed) l.row_offsets.push_back(0);
  for (int64_t row = 0; row < p.heads * p.q.count(); ++row) {
    if (blend == Blend::lerp) l.alpha.push_back(float(random.uniform()));
    if (scope != LinearScope::listed) continue;
    for (int32_t c = 0; c < p.k.count(); ++c) {
      if (random.uniform() < listed) l.cols.push_back(c);
    }
    l.row_offsets.push_back(int64_t(l.cols.size()));
  }
  p.linear = std::move(l);
  return must(AttentionPlan::make(std::move(p)));
}

class AttentionLinear : public ::testing::TestWithParam<AttentionTarget> {
 protected:
  AttentionInputs inputs(uint64_t seed, int64_t d = 32) const {
    return {{1, kHeads, kTokens, kTokens, d}, GetParam().dtype, true, seed, 1.5f};
  }
  static PlanPtr lists(double keep, int block_q = 64, int block_k = 32) {
    return random_plan({1, kHeads, kTokens, kTokens, 32}, kHeads, block_q, block_k, keep, false, 5);
  }
  AttentionResult run(const AttentionPlan& plan, const AttentionInputs& in, const AttentionOptions& o = {}) const {
    AttentionResult r = run_attention(plan, in, GetParam().isa, o);
    EXPECT_EQ(r.name, GetParam().executor);
    EXPECT_TRUE(r.guards_intact);
    return r;
  }
};

INSTANTIATE_TEST_SUITE_P(Targets, AttentionLinear, ::testing::ValuesIn(attention_targets()), target_name);

TEST_P(AttentionLinear, EveryScopeAtEveryDensity) {
  for (LinearScope scope : {LinearScope::complement, LinearScope::global, LinearScope::listed}) {
    for (double keep : {0.1, 0.9}) {
      for (bool projection : {false, true}) {
        PlanPtr plan = with_linear(*lists(keep), scope, FeatureMap::softmax, projection, Blend::sum, keep);
        AttentionInputs in = inputs(uint64_t(keep * 10));
        expect_accurate(run(*plan, in), *plan, in, fmt::format("scope {} keep {} projection {}", int(scope), keep, projection));
      }
    }
  }
}

TEST_P(AttentionLinear, AnyHeadSize) {
  for (int64_t d : {1, 16, 33, 80, 128, 136, 272}) {
    AttentionInputs in({1, 2, 150, 150, d}, GetParam().dtype, false, uint64_t(d));
    for (LinearScope scope : {LinearScope::complement, LinearScope::global}) {
      PlanPtr some = random_plan(in.shape, 1, 64, 48, 0.4, false, uint64_t(d));
      PlanPtr plan = with_linear(*some, scope, FeatureMap::elu, true, scope == LinearScope::global ? Blend::lerp : Blend::sum);
      expect_accurate(run(*plan, in), *plan, in, fmt::format("d {} scope {}", d, int(scope)));
    }
  }
}

TEST_P(AttentionLinear, EqualForEveryThreadCount) {
  AttentionInputs in = inputs(3);
  for (LinearScope scope : {LinearScope::complement, LinearScope::global, LinearScope::listed}) {
    PlanPtr plan = with_linear(*lists(0.3, 200), scope, FeatureMap::softmax, true, Blend::lerp);
    AttentionResult one = run(*plan, in, {.threads = 1});
    for (int threads : {2, 3}) EXPECT_TRUE(same_bits(run(*plan, in, {.threads = threads}).out, one.out)) << int(scope);
  }
}

TEST_P(AttentionLinear, DenseEqualsAllBlocksListed) {
  AttentionInputs in = inputs(7);
  for (auto [bq, bk] : std::vector<std::pair<int, int>>{{64, 64}, {128, 64}, {300, 16}}) {
    for (LinearScope scope : {LinearScope::complement, LinearScope::global, LinearScope::listed}) {
      PlanPtr dense = with_linear(*AttentionPlan::dense(kTokens, kTokens, bq, bk), scope, FeatureMap::softmax, true, Blend::lerp);
      PlanPtr all = with_linear(*all_blocks_plan(kTokens, kTokens, bq, bk), scope, FeatureMap::softmax, true, Blend::lerp);
      EXPECT_TRUE(same_bits(run(*dense, in).out, run(*all, in).out)) << bq << " x " << bk << " scope " << int(scope);
    }
  }
}

TEST_P(AttentionLinear, ChangesNeitherMassNorLogSumExps) {
  AttentionInputs in = inputs(9);
  PlanPtr plain = lists(0.3), plan = with_linear(*plain, LinearScope::complement, FeatureMap::softmax, true);
  AttentionResult without = run(*plain, in, {.mass = true}), with = run(*plan, in, {.mass = true});
  EXPECT_TRUE(same_bits(with.mass, without.mass) && same_bits(with.lse, without.lse));
  EXPECT_TRUE(same_bits(run(*plan, in).out, with.out));
}

// A linear part that nothing is in scope of, or whose denominator is 0, adds exactly 0.
TEST_P(AttentionLinear, NothingInScopeAddsNothing) {
  AttentionInputs in = inputs(11);
  PlanPtr dense = AttentionPlan::dense(kTokens, kTokens);
  AttentionResult plain = run(*dense, in);
  EXPECT_TRUE(same_bits(run(*with_linear(*dense, LinearScope::complement, FeatureMap::softmax, false), in).out, plain.out));
  EXPECT_TRUE(
      same_bits(run(*with_linear(*dense, LinearScope::listed, FeatureMap::elu, false, Blend::sum, 0), in).out, plain.out));
}

// relu leaves channels in which no key in scope has anything, while all others have: a sum that is taken away must leave
// exactly 0, not a rounding error to divide by.
TEST_P(AttentionLinear, SumsAreTakenAwayWithoutRest) {
  AttentionInputs in = inputs(13, 16);
  PlanParts p;
  p.q = Blocks::uniform(kTokens, 64), p.k = Blocks::uniform(kTokens, 20);
  p.row_offsets.push_back(0);
  for (int64_t row = 0; row < p.q.count(); ++row) {
    // Out of scope: of even rows every fifth block, so that those are taken away; of odd rows two of three.
    for (int32_t c = 0; c < p.k.count(); ++c) {
      if (row % 2 ? c % 3 != 0 : c % 5 == 0) p.cols.push_back(c);
    }
    p.row_offsets.push_back(int64_t(p.cols.size()));
  }
  for (int64_t h = 0; h < kHeads; ++h) {
    for (int64_t n = 0; n < kTokens; ++n) {
      // Channel 0 lives only in blocks that are out of scope of even rows; queries have nothing but channel 0.
      in.set(in.args.k, 0, h, n, 0, n / 20 % 5 == 0 ? 1.37f + float(n) : -1.f);
      for (int64_t c = 0; c < 16; ++c) in.set(in.args.q, 0, h, n, c, c == 0 ? 1.f : -1.f);
    }
  }
  PlanPtr plain = must(AttentionPlan::make(p)), plan = with_linear(*plain, LinearScope::complement, FeatureMap::relu, false);
  AttentionResult got = run(*plan, in), want = run(*plain, in);
  for (int64_t q = 0; q < 64; ++q) {
    for (int64_t c = 0; c < 16; ++c) ASSERT_EQ(got.out[size_t(q * 16 + c)], want.out[size_t(q * 16 + c)]);
  }
  expect_accurate(got, *plan, in, "relu");
}

// What is not a number in a key stays out of query blocks that do not have it in scope, whichever side is summed.
TEST_P(AttentionLinear, NotANumberStaysOutOfScope) {
  for (float bad : {NAN, INFINITY}) {
    AttentionInputs in = inputs(17);
    PlanParts p;
    p.q = Blocks::uniform(kTokens, 64), p.k = Blocks::uniform(kTokens, 64);
    p.row_offsets = {0};
    for (int64_t row = 0; row < p.q.count(); ++row) {
      p.cols.push_back(int32_t(row));
      p.row_offsets.push_back(row + 1);
    }
    in.set(in.args.v, 0, 1, 70, 3, bad);  // block 1 of head 1: every query block but 1 has it in scope
    PlanPtr plan = with_linear(*must(AttentionPlan::make(p)), LinearScope::complement, FeatureMap::softmax, false);
    // The same without block 1 anywhere: all but one block are in scope, so that the total less that one would be summed.
    p.cols[1] = 2;
    p.linear = LinearPart{LinearScope::listed, FeatureMap::softmax, false, Blend::sum, {}, {0}, {}};
    for (int64_t row = 0; row < p.q.count(); ++row) {
      for (int32_t c = 0; c < p.k.count(); ++c) {
        if (c != 1) p.linear->cols.push_back(c);
      }
      p.linear->row_offsets.push_back(int64_t(p.linear->cols.size()));
    }
    AttentionResult got = run(*must(AttentionPlan::make(p)), in);
    for (float x : got.out) ASSERT_TRUE(std::isfinite(x)) << bad;
    bool seen = false;
    for (float x : run(*plan, in).out) seen |= !std::isfinite(x);
    EXPECT_TRUE(seen);
  }
}

TEST_P(AttentionLinear, WorkspaceStaysModest) {
  auto machine = make_machine(GetParam().isa, 2);
  AttentionProblem p{1, 12, 128, GetParam().dtype, 0};
  PlanParts parts = AttentionPlan::dense(32760, 32760, 128, 64)->parts();
  parts.dense = false;
  parts.row_offsets.push_back(0);
  for (int64_t row = 0; row < parts.q.count(); ++row) {
    parts.cols.push_back(int32_t(row));
    parts.row_offsets.push_back(row + 1);
  }
  p.block_mass = true;
  for (LinearScope scope : {LinearScope::complement, LinearScope::global}) {
    for (int block_k : {64, 32, 16}) {
      parts.k = Blocks::uniform(32760, block_k);
      parts.linear = LinearPart{scope, FeatureMap::softmax, true, Blend::sum, {}, {}, {}};
      PlanPtr plan = must(AttentionPlan::make(parts));
      const AttentionExecutor& e = choose_attention(*plan, p, machine->ctx);
      EXPECT_EQ(e.name(), GetParam().executor);
      EXPECT_LT(e.workspace_bytes(*plan, p, machine->ctx), size_t(2) << 30) << block_k;
    }
  }
}

TEST(AttentionLinearRefusal, SaysHowLargeTheSumsWouldBe) {
  auto machine = make_machine();
  PlanParts p = AttentionPlan::dense(32760, 32760, 64, 1)->parts();
  p.linear = LinearPart{LinearScope::complement, FeatureMap::softmax, true, Blend::sum, {}, {}, {}};
  PlanPtr plan = must(AttentionPlan::make(std::move(p)));
  for (const auto& e : machine->ops->attention) {
    std::string why = e->why_not(*plan, {1, 12, 128, DType::bf16, 0}, machine->ctx);
    EXPECT_EQ(why.empty(), e->name() == "ref");
    EXPECT_EQ(why.find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace zt::testing
