// The attention kernels, as C++ or as PTX, against the double-precision twin: lengths of all residues, every kind of plan, all schedules.
#include <cstring>

#include "tests/cuda/host/attention_host.h"
#include "tests/cuda/host/targets.h"
#include "tests/kernels/plan_random.h"

namespace zt::testing {
namespace {

using namespace cuda_attention;

// Fails unless the result is as right as rounding allows.
void check(const AttentionPlan& plan, const AttentionInputs& in, const CudaRun& run, const std::string& what) {
  AttentionOptions o{.out = run.out, .lse = run.lse, .mass = run.mass, .mass_lse = run.mass_lse};
  AttentionResult right = ref_attention(plan, in, o);
  AttentionResult got = host_attention(plan, in, run);
  ASSERT_TRUE(got.guards_intact) << what;
  Used used = error_used(got, right, plan, in);
  ASSERT_LE(used.out, 1) << what << ": " << used.worst;
  // The project's bound of a kernel beside its plain twin: tighter where a projection sums many numbers.
  if (run.out) {
    ASSERT_LE(nmse(got.out, right.out), 5e-4) << what;
  }
  ASSERT_LE(used.lse, 1) << what << ": " << used.worst;
  ASSERT_LE(used.mass, 1) << what << ": " << used.worst;
}

class CudaAttention : public ::testing::TestWithParam<CudaTarget> {};
std::string target_name(const ::testing::TestParamInfo<CudaTarget>& i) { return i.param.name; }
INSTANTIATE_TEST_SUITE_P(Shapes, CudaAttention, ::testing::ValuesIn(cuda_targets()), target_name);
INSTANTIATE_TEST_SUITE_P(LongShapes, CudaAttention, ::testing::ValuesIn(cuda_targets(true)), target_name);

// A plan for lengths nq and nk: each kind in turn.
PlanPtr plan_of(int kind, const AttentionShape& s, uint64_t seed) {
  switch (kind) {
    case 0: return AttentionPlan::dense(s.nq, s.nk);
    case 1: return random_plan(s, 1, 64, 64, 0.5, false, seed);   // shared lists, empty rows
    case 2: return random_plan(s, int(s.heads), 64, 32, 0.4, false, seed);
    case 3: return with_masks_orders_and_head_map(*random_plan(s, 2, 64, 64, 0.7, true, seed), s.heads, seed);
    case 4: return random_plan(s, 1, 128, 16, 0.1, false, seed);  // mostly one or two entries
    default: return with_masks_orders_and_head_map(*random_plan(s, 1, 48, 100, 0.9, false, seed), s.heads, seed);
  }
}

// Every query length, and with it key lengths of all residues of both tile sizes.
TEST_P(CudaAttention, AllLengths) {
  const CudaTarget& t = GetParam();
  for (int n = 1; n <= t.longest && !HasFatalFailure(); n += t.full ? 1 : 19) {
    int kind = (n + n / 6) % 6;
    // Two heads where they differ.
    AttentionShape s{1, kind == 2 || kind == 3 ? 2 : 1, n, 1 + (n * 37 + n / 64 * 11) % 300, t.d};
    PlanPtr plan = plan_of(kind, s, uint64_t(n));
    AttentionInputs in(s, t.dtype, false, uint64_t(n), 1.f);
    check(*plan, in, {.shape = t.shape, .seed = uint64_t(n), .askew = n % 11 == 0}, fmt::format("{} plan {}", s.str(), kind));
  }
}

// Keys of every count up to two tiles, one query tile: the ends of lists.
TEST_P(CudaAttention, AllKeyCounts) {
  const CudaTarget& t = GetParam();
  for (int nk = 1; nk <= 2 * t.shape.keys + 2 && !HasFatalFailure(); nk += t.full ? 1 : 5) {
    AttentionShape s{1, 1, 17, nk, t.d};
    AttentionInputs in(s, t.dtype, false, uint64_t(nk), 1.f);
    check(*AttentionPlan::dense(17, nk), in, {.shape = t.shape, .seed = uint64_t(nk)}, s.str());
  }
}

// Bits do not depend on what a GPU leaves open: order of blocks, warps and lanes, and when copies land.
TEST_P(CudaAttention, EqualBitsUnderEverySchedule) {
  const CudaTarget& t = GetParam();
  AttentionShape s{1, 2, 140, t.full ? 200 : 100, t.d};
  AttentionInputs in(s, t.dtype, false, 5, 1.f);
  for (int kind : t.full ? std::vector{2, 3} : std::vector{3}) {
    PlanPtr plan = plan_of(kind, s, 3);
    AttentionResult first = host_attention(*plan, in, {.shape = t.shape, .seed = 0});
    for (uint64_t seed = 1; seed <= 22; ++seed) {
      AttentionResult other = host_attention(*plan, in, {.shape = t.shape, .seed = seed});
      ASSERT_EQ(std::memcmp(first.out.data(), other.out.data(), first.out.size() * 4), 0) << "seed " << seed;
      ASSERT_EQ(std::memcmp(first.lse.data(), other.lse.data(), first.lse.size() * 4), 0) << "seed " << seed;
    }
  }
}

// Plans with all that a plan can carry, as the CPU executors get them; a linear part in bf16 only.
TEST_P(CudaAttention, RandomPlans) {
  const CudaTarget& t = GetParam();
  Random random(91);
  for (int i = 0; i < t.plans && !HasFatalFailure(); ++i) {
    AttentionShape s{1 + random.below(2), 1 + random.below(3), 0, 0, t.d};
    PlanPtr plan = must(AttentionPlan::make(random_parts(random, {.max_tokens = i % 10 ? 60 : 200, .heads = s.heads, .linear = t.dtype == DType::bf16})));
    s.nq = plan->nq(), s.nk = plan->nk();
    AttentionInputs in(s, t.dtype, random.below(2) == 0, uint64_t(i), float(0.5 + 1.5 * random.uniform()));
    CudaRun run{.shape = t.shape, .seed = uint64_t(i), .out = random.below(4) != 0, .askew = random.below(4) == 0};
    run.mass = random.below(2) == 0, run.lse = !run.mass || random.below(3) != 0;
    if (run.mass && random.below(3) == 0) {
      // Log-sum-exps of another time: near those of now, some rows without one.
      run.mass_lse = ref_attention(*plan, in).lse;
      for (float& x : run.mass_lse) x = random.below(9) ? x + random.normal() : -INFINITY;
    }
    check(*plan, in, run, fmt::format("plan {}: {}", i, s.str()));
  }
}

// A kernel of its own, whose copies are those of keys only.
TEST_P(CudaAttention, LogSumExpsAlone) {
  const CudaTarget& t = GetParam();
  for (int kind : {0, 3}) {
    AttentionShape s{1, 2, 70, 3 * t.shape.keys + 5, t.d};
    AttentionInputs in(s, t.dtype, false, 7, 1.f);
    check(*plan_of(kind, s, 7), in, {.shape = t.shape, .seed = 2, .out = false}, fmt::format("plan {}", kind));
  }
}

// Rare on their own: a query row that its masks leave no key, in a tile that other rows use; a row without a list.
TEST_P(CudaAttention, RowsWithoutKeys) {
  const CudaTarget& t = GetParam();
  AttentionShape s{1, 1, 128, 192, t.d};
  PlanParts p;
  p.q = Blocks::uniform(128, 64), p.k = Blocks::uniform(192, 64);
  p.row_offsets = {0, 2, 2}, p.cols = {0, 2}, p.mask_of = {0, 0};
  p.mask_words.assign(64, 0x8000000000000001ull);
  for (int r : {0, 9, 31, 32, 63}) p.mask_words[size_t(r)] = 0;
  PlanPtr plan = must(AttentionPlan::make(std::move(p)));
  AttentionInputs in(s, t.dtype, false, 3, 1.f);
  check(*plan, in, {.shape = t.shape}, "masked rows");
  AttentionResult got = host_attention(*plan, in, {.shape = t.shape});
  for (int r : {0, 9, 31, 32, 63, 64, 100, 127}) {
    EXPECT_EQ(got.lse[size_t(r)], -INFINITY) << r;
    for (int c = 0; c < t.d; ++c) ASSERT_EQ(got.out[size_t(r * t.d + c)], 0.f) << r;
  }
}

// Speed that needs no GPU to be seen: matrix loads and tile copies without bank conflicts, whole sectors from and to memory.
TEST_P(CudaAttention, NoBankConflicts) {
  const CudaTarget& t = GetParam();
  AttentionShape s{1, 1, 128, 256, t.d};
  AttentionInputs in(s, t.dtype, false, 3, 1.f);
  std::vector<cuda_host::SiteTraffic> sites;
  host_attention(*AttentionPlan::dense(128, 256), in, {.shape = t.shape, .count_traffic = true}, &sites);
  int matrix = 0, copies = 0;
  for (const auto& site : sites) {
    std::string what = fmt::format("{}: {} for {}", site.where.str(), site.units, site.least);
    matrix += site.port == cuda_host::Port::matrix, copies += site.port == cuda_host::Port::copy_store;
    if (site.port != cuda_host::Port::shared_store) {
      EXPECT_LE(site.units, site.least) << what;
    }
  }
  EXPECT_GE(matrix, 3);
  EXPECT_GE(copies, 1);
}

// Every scope, feature map, projection and blend of a linear part, over lists and over dense plans.
TEST(CudaAttentionLinear, EveryKindOfLinearPart) {
  Random random(23);
  for (int i = 0; i < 36 && !HasFatalFailure(); ++i) {
    PlanParts parts;
    // Until one has a linear part with lists of its own, which other scopes leave unused.
    do {
      parts = random_parts(random, {.max_tokens = 100, .heads = 2});
    } while (!parts.linear || parts.linear->scope != LinearScope::listed || parts.dense != (i % 5 == 4) || parts.k.count() < 2 ||
             parts.k.count() > 8 || parts.q.count() > 8);
    LinearPart& l = *parts.linear;
    l.scope = LinearScope(i % 3), l.feature = FeatureMap(i / 3 % 3), l.projection = i / 9 % 2, l.blend = Blend(i / 18 % 2);
    if (l.scope != LinearScope::listed) l.row_offsets = {}, l.cols = {};
    l.alpha = {};
    for (int64_t r = 0; l.blend == Blend::lerp && r < parts.heads * parts.q.count(); ++r) l.alpha.push_back(float(random.uniform()));
    PlanPtr plan = must(AttentionPlan::make(std::move(parts)));
    AttentionShape s{1, 2, plan->nq(), plan->nk(), i % 4 == 3 ? 128 : 64};
    AttentionInputs in(s, DType::bf16, false, uint64_t(i), 1.f);
    CudaRun run{.shape = s.d == 64 ? kSmall64 : kSmall128, .seed = uint64_t(i), .askew = i % 5 == 0};
    check(*plan, in, run, fmt::format("linear part {}: {}", i, s.str()));
  }
}

}  // namespace
}  // namespace zt::testing
