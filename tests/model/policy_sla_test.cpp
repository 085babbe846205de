// SLA's map against sums written out here, its three scopes, and a model without the weights of the linear part.
#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>

#include "tests/model/policy_support.h"

namespace zt {
namespace {

using namespace zt::testing;
using ::testing::HasSubstr;

// Scores of mean queries against mean keys less the mean of all keys, in double: [q blocks][k blocks].
std::vector<std::vector<double>> scores_of(const PolicyClip& clip, int64_t head, int64_t block_q, int64_t block_k) {
  const int64_t n = clip.grid.tokens(), d = clip.q.dim(3);
  auto means = [&](const TensorView& t, int64_t block, bool center) {
    std::vector<float> x = to_floats(t.select(0, 0).select(0, head));
    std::vector<std::vector<double>> rows;
    std::vector<double> all(static_cast<size_t>(d));
    for (int64_t i = 0; i < n * d; ++i) all[size_t(i % d)] += double(x[size_t(i)]) / double(n);
    for (int64_t begin = 0; begin < n; begin += block) {
      int64_t count = std::min(block, n - begin);
      rows.emplace_back(static_cast<size_t>(d));
      for (int64_t i = 0; i < count * d; ++i) rows.back()[size_t(i % d)] += double(x[size_t(begin * d + i)]) / double(count);
      for (int64_t c = 0; c < d && center; ++c) rows.back()[size_t(c)] -= all[size_t(c)];
    }
    return rows;
  };
  auto q = means(clip.q, block_q, false), k = means(clip.k, block_k, true);
  std::vector<std::vector<double>> s(q.size(), std::vector<double>(k.size()));
  for (size_t i = 0; i < q.size(); ++i) {
    for (size_t j = 0; j < k.size(); ++j) s[i][j] = std::inner_product(q[i].begin(), q[i].end(), k[j].begin(), 0.0);
  }
  return s;
}

std::vector<int32_t> ranked(const std::vector<double>& row) {
  std::vector<int32_t> order(row.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return row[size_t(a)] > row[size_t(b)]; });
  return order;
}

std::vector<int32_t> sorted(std::vector<int32_t> v) {
  std::sort(v.begin(), v.end());
  return v;
}

TEST(Sla, MapIsTheBruteForceOne) {
  auto m = make_machine();
  PolicyClip clip({5, 9, 17}, 3, 24, 11);  // 765 tokens: tails of 61 keys and 125 queries
  for (auto [bq, bk] : {std::pair{128, 64}, {64, 64}, {64, 128}, {128, 128}}) {
    const int64_t blocks = (765 + bk - 1) / bk, kept = std::max<int64_t>(1, int64_t(0.3 * double(blocks))),
                  low = int64_t(0.2 * double(blocks));
    PolicyInput in = clip.at();
    in.projection = true;
    std::string spec = fmt::format("sla:topk=0.3,drop=0.2,block_q={},block_k={},scope=", bq, bk);
    PlanPtr global = plan_once(spec + "global", in, m->ctx), three = plan_once(spec + "three_class", in, m->ctx);
    for (int64_t h = 0; h < 3; ++h) {
      auto scores = scores_of(clip, h, bq, bk);
      ASSERT_EQ(int64_t(scores.size()), global->parts().q.count());
      for (size_t i = 0; i < scores.size(); ++i) {
        std::vector<int32_t> order = ranked(scores[i]);
        // f32 sums of 128 values below 4 and products of 24 means: gaps this small are the seed's, and it has none.
        for (size_t j = 1; j < order.size(); ++j) ASSERT_GT(scores[i][size_t(order[j - 1])] - scores[i][size_t(order[j])], 1e-5);
        std::vector<int32_t> best = sorted({order.begin(), order.begin() + kept}),
                             rest = sorted({order.begin() + kept, order.end() - low});
        for (const PlanPtr& plan : {global, three}) {
          auto row = plan->row(h, int64_t(i)).cols;
          EXPECT_EQ(std::vector<int32_t>(row.begin(), row.end()), best) << h << " " << i;
        }
        const LinearPart& l = *three->parts().linear;
        size_t r = size_t(h) * scores.size() + i;
        EXPECT_EQ(std::vector<int32_t>(l.cols.begin() + l.row_offsets[r], l.cols.begin() + l.row_offsets[r + 1]), rest)
            << h << " " << i;
      }
    }
  }
}

TEST(Sla, LinearPart) {
  auto m = make_machine();
  PolicyClip clip({3, 8, 16}, 2, 16, 2);
  PolicyInput in = clip.at();
  in.projection = true;
  for (auto [name, scope] : {std::pair{"global", LinearScope::global},
                             {"complement", LinearScope::complement},
                             {"three_class", LinearScope::listed}}) {
    for (auto [map, feature] :
         {std::pair{"softmax", FeatureMap::softmax}, {"elu", FeatureMap::elu}, {"relu", FeatureMap::relu}}) {
      PlanPtr plan = plan_once(fmt::format("sla:scope={},feature={}", name, map), in, m->ctx);
      ASSERT_TRUE(plan->has_linear());
      EXPECT_EQ(plan->parts().linear->scope, scope);
      EXPECT_EQ(plan->parts().linear->feature, feature);
      EXPECT_TRUE(plan->parts().linear->projection);
      EXPECT_EQ(plan->parts().q.block, 128);
      EXPECT_EQ(plan->parts().k.block, 64);
    }
  }
  // The lowest never eat the kept ones.
  PlanPtr all = plan_once("sla:scope=three_class,keep=0.9,drop=1", in, m->ctx);
  EXPECT_DOUBLE_EQ(all->density(), 5.0 / 6);
  EXPECT_TRUE(all->parts().linear->cols.empty());
}

TEST(Sla, WithoutItsWeightsItSaysSoOnce) {
  auto m = make_machine();
  std::vector<std::string> lines;
  m->ctx.warn = [&](std::string_view line) { lines.emplace_back(line); };
  PolicyClip clip({3, 8, 16}, 2, 16, 2);
  for (const char* scope : {"global", "complement", "three_class"}) {
    lines.clear();
    auto policy = must(make_policy(std::string("sla:keep=0.34,scope=") + scope));
    for (int64_t step = 0; step < 3; ++step) {
      PlanPtr plan = must(policy->plan(clip.at(step, 3), m->ctx));
      EXPECT_FALSE(plan->has_linear());
      EXPECT_DOUBLE_EQ(plan->density(), 2.0 / 6);
    }
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_THAT(lines[0], HasSubstr("proj_l"));
    EXPECT_EQ(lines[0].find('\n'), std::string::npos);
  }
  m->ctx.warn = nullptr;
  EXPECT_TRUE(must(make_policy("sla"))->plan(clip.at(), m->ctx).ok());
}

TEST(Sla, TopkIsAnotherNameOfKeep) {
  auto m = make_machine();
  PolicyClip clip({3, 8, 16}, 2, 16, 2);
  EXPECT_EQ(plan_once("sla:topk=0.5", clip.at(), m->ctx)->hash(), plan_once("sla:keep=0.5", clip.at(), m->ctx)->hash());
  EXPECT_THAT(make_policy("sla:topk=0.5,keep=0.5").status().message(), HasSubstr("'keep' stands twice"));
  EXPECT_THAT(make_policy("sla:topk=2").status().message(), HasSubstr("'keep' is '2'"));
  EXPECT_THAT(make_policy("topk:topk=0.5").status().message(), HasSubstr("no parameter 'topk'"));
  for (const PolicyInfo& info : policy_table()) {
    for (const auto& p : info.parameters) EXPECT_NE(p.name, "topk");
  }
}

}  // namespace
}  // namespace zt
