// Plans as data: masks, statistics, slices and text of thousands of random plans, and what validation refuses.
#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>

#include "kernels/plan/plan_build.h"
#include "kernels/plan/plan_text.h"
#include "tests/kernels/plan_random.h"
#include "tests/support/testing.h"

namespace zt {
namespace {

using testing::must;
using testing::Random;
using testing::random_parts;

constexpr int kPlans = 3000;

int64_t heads_of(const AttentionPlan& p) { return std::max<int64_t>(p.model_heads(), 1); }

// Entry (q, k) of a head's mask, straight from the definition, one pair at a time.
bool keeps(const AttentionPlan& plan, int64_t head, int64_t q, int64_t k) {
  const PlanParts& p = plan.parts();
  if (p.dense) return true;
  auto slot = [&](const TokenOrder& o, int64_t tokens, int64_t token) {
    int set = o.set_of(head);
    if (set < 0) return token;
    auto begin = o.order.begin() + set * tokens;
    return int64_t(std::find(begin, begin + tokens, token) - begin);
  };
  auto block = [](const Blocks& b, int64_t& at) {
    int64_t i = 0;
    while (at >= b.valid[size_t(i)]) at -= b.valid[size_t(i++)];
    return i;
  };
  int64_t qs = slot(p.q_order, plan.nq(), q), ks = slot(p.k_order, plan.nk(), k);
  int64_t row = plan.set_of(head) * p.q.count() + block(p.q, qs), col = block(p.k, ks);
  for (int64_t i = p.row_offsets[size_t(row)]; i < p.row_offsets[size_t(row) + 1]; ++i) {
    if (p.cols[size_t(i)] != col) continue;
    int32_t m = p.mask_of.empty() ? -1 : p.mask_of[size_t(i)];
    return m < 0 || (p.mask_words[size_t(m * p.mask_size() + qs * p.mask_row_words() + ks / 64)] >> (ks % 64) & 1);
  }
  return false;
}

TEST(AttentionPlan, MaskAndDensityFollowTheLists) {
  Random r(1);
  for (int i = 0; i < kPlans; ++i) {
    PlanPtr plan = must(AttentionPlan::make(random_parts(r, {.max_tokens = i % 10 == 0 ? 300 : 40})));
    double kept = 0;
    for (int64_t h = 0; h < heads_of(*plan); ++h) {
      auto mask = must(plan->expand(h));
      double own = double(std::count(mask.begin(), mask.end(), 1));
      ASSERT_DOUBLE_EQ(plan->density(h), own / double(plan->nq() * plan->nk())) << "plan " << i << " head " << h;
      kept += own;
      for (int n = 0; n < 20; ++n) {
        int64_t q = r.below(plan->nq()), k = r.below(plan->nk());
        ASSERT_EQ(bool(mask[size_t(q * plan->nk() + k)]), keeps(*plan, h, q, k)) << "plan " << i << " head " << h;
      }
    }
    ASSERT_DOUBLE_EQ(plan->density(), kept / double(heads_of(*plan) * plan->nq() * plan->nk())) << "plan " << i;
  }
}

TEST(AttentionPlan, TextReadsBackToTheSameHash) {
  Random r(2);
  for (int i = 0; i < kPlans; ++i) {
    PlanPtr plan = must(AttentionPlan::make(random_parts(r)));
    std::string text = plan_to_text(*plan);
    Result<PlanPtr> back = plan_from_text(text);
    ASSERT_TRUE(back.ok()) << "plan " << i << ": " << back.status().message() << "\n" << text;
    ASSERT_EQ(hex((*back)->hash()), hex(plan->hash())) << "plan " << i;
    ASSERT_EQ(plan_to_text(**back), text) << "plan " << i;
  }
}

TEST(AttentionPlan, HashSeesEveryField) {
  PlanParts p;
  p.q = p.k = Blocks::uniform(100, 16);
  std::vector<int32_t> map(49, 1);
  map[5] = 0;
  PlanParts base = must(plan_from_block_map(p, map))->parts();
  auto hash = [](PlanParts parts) { return hex(must(AttentionPlan::make(std::move(parts)))->hash()); };
  std::vector<std::string> seen{hash(base)};
  auto differs = [&](auto&& change) {
    PlanParts q = base;
    change(q);
    std::string h = hash(q);
    EXPECT_EQ(std::count(seen.begin(), seen.end(), h), 0) << "change " << seen.size();
    seen.push_back(h);
  };
  differs([](PlanParts& q) { q.valid_until = 3; });
  differs([](PlanParts& q) { q.k_bias.assign(7, 0.f); });
  differs([](PlanParts& q) { q.head_set = {0, 0}; });
  differs([](PlanParts& q) { q.head_set = {0, 0, 0}; });
  differs([](PlanParts& q) { q.cols.back() = 6, q.cols[0] = 0, q.q.valid.back() = 3; });
  differs([](PlanParts& q) { q.q.block = 17; });
  differs([](PlanParts& q) { q.linear.emplace(); });
  differs([](PlanParts& q) { q.linear.emplace().feature = FeatureMap::elu; });
  differs([](PlanParts& q) { q.linear.emplace().projection = true; });
  differs([](PlanParts& q) {
    q.mask_of.assign(q.cols.size(), -1), q.mask_of[0] = 0;
    q.mask_words.assign(size_t(q.mask_size()), 1);
  });
  differs([](PlanParts& q) {
    q.k_order.sets = 1, q.k_order.order.resize(100);
    std::iota(q.k_order.order.rbegin(), q.k_order.order.rend(), 0);
  });
  PlanParts cost = base;
  cost.planning_seconds = 9;  // a measurement, not the plan
  EXPECT_EQ(hash(cost), seen[0]);
}

// The value was made apart from this code: the canonical bytes packed by hand, hashed by another SHA-256.
TEST(AttentionPlan, HashIsTheSameOnEveryMachine) {
  EXPECT_EQ(hex(AttentionPlan::dense(3, 5, 64, 64)->hash()), "7350c5bb981184a7fde86fd8ace75412120834d02f927718791e7ed69a476fcf");
}

TEST(AttentionPlan, SliceIsTheSubmatrix) {
  Random r(3);
  auto range = [&](int64_t count) {
    int64_t a = r.below(count + 1), b = r.below(count + 1);
    return AttentionPlan::Range{std::min(a, b), std::max(a, b)};
  };
  // Tokens of blocks [begin, end) for a head, lowest first.
  auto tokens = [](const TokenOrder& o, int64_t head, int64_t n, int64_t begin, int64_t end) {
    std::vector<int64_t> t;
    int set = o.set_of(head);
    for (int64_t i = begin; i < end; ++i) t.push_back(set < 0 ? i : o.order[size_t(set * n + i)]);
    std::sort(t.begin(), t.end());
    return t;
  };
  for (int i = 0; i < kPlans; ++i) {
    PlanPtr plan = must(AttentionPlan::make(random_parts(r)));
    AttentionPlan::Range heads = range(heads_of(*plan)), q = range(plan->parts().q.count()), k = range(plan->parts().k.count());
    if (heads.begin == heads.end) {
      EXPECT_FALSE(plan->slice(heads, q, k).ok());
      continue;
    }
    PlanPtr part = must(plan->slice(heads, q, k));
    for (int64_t h = heads.begin; h < heads.end; ++h) {
      auto whole = must(plan->expand(h)), sub = must(part->expand(h - heads.begin));
      auto qt = tokens(plan->parts().q_order, h, plan->nq(), plan->q_starts()[size_t(q.begin)], plan->q_starts()[size_t(q.end)]);
      auto kt = tokens(plan->parts().k_order, h, plan->nk(), plan->k_starts()[size_t(k.begin)], plan->k_starts()[size_t(k.end)]);
      ASSERT_EQ(sub.size(), qt.size() * kt.size());
      for (size_t a = 0; a < qt.size(); ++a) {
        for (size_t b = 0; b < kt.size(); ++b) {
          ASSERT_EQ(sub[a * kt.size() + b], whole[size_t(qt[a] * plan->nk() + kt[b])]) << "plan " << i << " head " << h;
        }
      }
    }
    PlanPtr all = must(plan->slice({}, {}, {}));
    ASSERT_DOUBLE_EQ(all->density(), plan->density());
  }
}

TEST(AttentionPlan, RasterKeepsTheMean) {
  Random r(4);
  for (int i = 0; i < 300; ++i) {
    PlanPtr plan = must(AttentionPlan::make(random_parts(r)));
    int64_t height = 1 + r.below(40), width = 1 + r.below(40);
    auto picture = plan->raster(-1, height, width);
    double mean = std::accumulate(picture.begin(), picture.end(), 0.0) / double(height * width);
    EXPECT_NEAR(mean, plan->density(), 1e-5) << "plan " << i;
  }
}

TEST(AttentionPlan, MergedHeadsKeepTheirMasks) {
  Random r(5);
  for (int i = 0; i < 500; ++i) {
    PlanParts first = random_parts(r, {.linear = false, .bias = false});
    std::vector<PlanPtr> plans{must(AttentionPlan::make(first)), AttentionPlan::dense(first.q.tokens(), first.k.tokens())};
    PlanParts band;
    band.q = first.q, band.k = first.k;
    std::vector<int32_t> map(size_t(band.q.count() * band.k.count()));
    for (auto& m : map) m = int32_t(r.below(2));
    plans.push_back(must(plan_from_block_map(band, map)));
    std::vector<PlanPtr> heads;
    for (int h = 0; h < 3; ++h) heads.push_back(plans[size_t(r.below(3))]);
    PlanPtr merged = must(merge_heads(heads));
    for (int64_t h = 0; h < 3; ++h) ASSERT_EQ(must(merged->expand(h)), must(heads[size_t(h)]->expand(h))) << "plan " << i;
  }
  std::vector<PlanPtr> apart{must(plan_band(64, 3, 16)), must(plan_band(64, 3, 32))};
  EXPECT_THAT(merge_heads(apart).status().message(), ::testing::HasSubstr("equal blocks"));
}

TEST(PlanBuild, MaskIsReproduced) {
  Random r(6);
  for (int i = 0; i < 500; ++i) {
    PlanParts p;
    p.q = random_parts(r).q, p.k = random_parts(r).k;
    p.heads = int(1 + r.below(2));
    std::vector<uint8_t> mask(size_t(p.heads * p.q.tokens() * p.k.tokens()));
    double keep = r.uniform();
    for (auto& m : mask) m = r.uniform() < keep * keep;
    PlanPtr plan = must(plan_from_mask(p, mask));
    for (int64_t h = 0; h < p.heads; ++h) {
      auto got = must(plan->expand(h));
      ASSERT_TRUE(std::equal(got.begin(), got.end(), mask.begin() + h * int64_t(got.size()))) << "mask " << i;
    }
  }
}

TEST(PlanBuild, EqualMasksAreStoredOnce) {
  PlanPtr band = must(plan_band(64 * 50, 64, 64));
  EXPECT_EQ(band->parts().mask_count(), 2);  // the lower and the upper triangle
  EXPECT_EQ(band->stats().masked_blocks, 98);
  EXPECT_EQ(band->kept_blocks(), 148);
}

TEST(PlanBuild, AllBlocksIsDense) {
  PlanPtr plan = must(plan_all_blocks(100, 70, 64, 16));
  EXPECT_EQ(plan->kept_blocks(), 10);
  EXPECT_EQ(plan->density(), 1);
  EXPECT_FALSE(plan->is_dense());
  EXPECT_EQ(plan->flops(2, 8), AttentionPlan::dense(100, 70)->flops(2, 8));
}

}  // namespace
}  // namespace zt
