// What every method that looks at queries and keys owes: parameters, densities, chapter-1 rules of plans, tiny grids, recall.
#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>

#include "kernels/api/attention.h"
#include "kernels/plan/plan_text.h"
#include "model/policy/block_choice.h"
#include "model/policy/exact_tile.h"
#include "tests/model/policy_support.h"

namespace zt {
namespace {

using namespace zt::testing;
using ::testing::HasSubstr;

const char* const kMethods[] = {"svg", "topk", "topp", "adaspa", "oracle", "sla"};

TEST(DynamicPolicy, TableAndDefaults) {
  std::map<std::string, std::map<std::string, std::string>> defaults = {
      {"svg", {{"keep", "0.3"}}},
      {"topk", {{"keep", "0.2"}, {"block", "64"}}},
      {"topp", {{"mass", "0.9"}, {"keep", "0.05"}, {"block", "64"}}},
      {"adaspa",
       {{"keep", "0.2"}, {"block", "64"}, {"first_search", "0.2"}, {"search_every", "0.4"}, {"lse", "reuse"}, {"adapt", "1"}}},
      {"oracle", {{"keep", "0.2"}, {"block", "64"}}},
      {"sla",
       {{"keep", "0.1"}, {"scope", "global"}, {"drop", "0.1"}, {"feature", "softmax"}, {"block_q", "128"}, {"block_k", "64"}}},
  };
  for (const PolicyInfo& info : policy_table()) {
    if (!defaults.count(info.name)) continue;
    auto expected = defaults[info.name];
    for (const auto& common : {"dense_steps", "dense_last_steps", "dense_layers"}) expected[common] = "0";
    std::map<std::string, std::string> got;
    for (const auto& p : info.parameters) got[p.name] = p.fallback;
    EXPECT_EQ(got, expected) << info.name;
    EXPECT_EQ(info.needs_trained_weights, info.name == "sla");
    defaults.erase(info.name);
  }
  EXPECT_TRUE(defaults.empty());
  EXPECT_EQ(must(make_policy("topk"))->needs(), PolicyNeeds::qk);
  EXPECT_EQ(must(make_policy("oracle:dense_steps=2"))->needs(), PolicyNeeds::block_mass);
}

TEST(DynamicPolicy, BadParameters) {
  auto message = [](const std::string& spec) { return make_policy(spec).status().message(); };
  for (std::string m : kMethods) {
    for (const char* bad : {"1.5", "-0.1", "nan", "x"}) EXPECT_THAT(message(m + ":keep=" + bad), HasSubstr("a number in 0..1"));
    EXPECT_THAT(message(m + ":kep=0.5"), HasSubstr("nearest known one is 'keep'"));
  }
  EXPECT_THAT(message("topk:block=96"), HasSubstr("64 | 128"));
  EXPECT_THAT(message("topp:mas=0.5"), HasSubstr("'mass'"));
  EXPECT_THAT(message("adaspa:lse=old"), HasSubstr("reuse | fresh"));
  EXPECT_THAT(message("sla:scope=three"), HasSubstr("global | complement | three_class"));
  EXPECT_THAT(message("sla:feature=gelu"), HasSubstr("softmax | elu | relu"));
  EXPECT_THAT(message("oracl"), HasSubstr("'oracle'"));
}

TEST(DynamicPolicy, CountRule) {
  EXPECT_EQ(kept_count(0.1, 10), 1);
  EXPECT_EQ(kept_count(0.29, 100), 29) << "0.29 * 100 is 28.999999999999996";
  EXPECT_EQ(kept_count(0.1, 9), 1) << "at least one";
  EXPECT_EQ(kept_count(0, 50), 1);
  EXPECT_EQ(kept_count(0.35, 100), 35);
  EXPECT_EQ(kept_count(0.999, 100), 99) << "floor, not rounding";
  EXPECT_EQ(kept_count(1, 512), 512);
  EXPECT_EQ(share_of_blocks(0.1, 9), 0);
}

TEST(DynamicPolicy, RefusesWhatItCannotPlan) {
  auto m = make_machine();
  PolicyClip clip({2, 3, 4}, 2, 8, 1);
  for (std::string name : kMethods) {
    auto policy = must(make_policy(name));
    EXPECT_THAT(static_plan(*policy, {2, 3, 4}, 2, m->ctx).status().message(), HasSubstr("plans from queries and keys"));
    PolicyInput in = clip.at();
    in.q = in.k = in.v = {};
    EXPECT_EQ(policy->plan(in, m->ctx).status().code(), Code::kInvalid) << name;
    in = clip.at();
    Tensor two = must(m->arena.zeros(DType::f32, {2, 2, 24, 8}));
    in.q = in.k = in.v = two;
    EXPECT_THAT(policy->plan(in, m->ctx).status().message(), HasSubstr("one clip at a time, this call holds 2")) << name;
    in = clip.at();
    in.site.grid = {2, 3, 5};
    if (name != "topk" && name != "topp" && name != "svg") continue;  // their blocks do not follow the grid
    EXPECT_THAT(policy->plan(in, m->ctx).status().message(), HasSubstr("24 queries and 24 keys on a grid of 2x3x5")) << name;
    in.site.grid = {int64_t(1) << 40, int64_t(1) << 40, int64_t(1) << 40};
    EXPECT_FALSE(policy->plan(in, m->ctx).ok());
  }
  PolicyInput in = clip.at();
  in.v = {};
  EXPECT_THAT(must(make_policy("svg"))->plan(in, m->ctx).status().message(), HasSubstr("needs values"));
  Arena small(16);
  ExecContext poor = m->ctx;
  poor.arena = &small;
  for (std::string name : kMethods)
    EXPECT_EQ(must(make_policy(name))->plan(clip.at(), poor).status().code(), Code::kTooBig) << name;
}

// Out of attention over the plan, run by the best executor that takes it.
std::vector<float> run(const AttentionPlan& plan, const PolicyClip& clip, const Machine& m) {
  Tensor out = must(m.ctx.arena->make(clip.q.dtype, clip.q.shape));
  AttentionProblem p{1, clip.q.dim(1), clip.q.dim(3), clip.q.dtype};
  AttentionArgs a;
  a.q = clip.q, a.k = clip.k, a.v = clip.v, a.out = out;
  Tensor workspace =
      must(m.ctx.arena->make(DType::u8, {int64_t(choose_attention(plan, p, m.ctx).workspace_bytes(plan, p, m.ctx)) + 64}));
  attention_forward(plan, p, a, workspace.data(), m.ctx);
  return to_floats(out);
}

TEST(DynamicPolicy, RulesOfPlans) {
  const Grid grids[] = {{1, 1, 1}, {1, 1, 3}, {1, 5, 7}, {3, 1, 1}, {5, 6, 8}, {2, 11, 13}, {5, 7, 11}};
  auto m = make_machine();
  for (const Grid& g : grids) {
    for (DType t : {DType::f32, DType::bf16}) {
      PolicyClip clip(g, 3, 16, 7, t);
      for (std::string name : kMethods) {
        SCOPED_TRACE(fmt::format("{} {}x{}x{} {}", name, g.t, g.h, g.w, dtype_name(t)));
        PlanPtr plan = plan_once(name, clip.at(), m->ctx);
        // (a) a boolean mask, (b) every query has a key, (e) true counts
        int64_t kept = 0;
        for (int64_t h = 0; h < 3; ++h) {
          std::vector<uint8_t> mask = must(plan->expand(h));
          for (int64_t i = 0; i < g.tokens(); ++i) {
            auto row = mask.begin() + i * g.tokens();
            int64_t keys = std::accumulate(row, row + g.tokens(), int64_t(0));
            EXPECT_GE(keys, 1);
            kept += keys;
          }
        }
        EXPECT_NEAR(plan->density(), double(kept) / (3.0 * double(g.tokens()) * double(g.tokens())), 1e-12);
        // (d) orders are permutations: AttentionPlan::make has checked it; the inverse leads back
        const TokenOrder& o = plan->parts().k_order;
        for (size_t i = 0; i < o.order.size() && o.sets == 1; ++i) EXPECT_EQ(size_t(o.inverse[size_t(o.order[i])]), i);
        // (f) it is text and back, hashes, and can be drawn
        PlanPtr back = must(plan_from_text(plan_to_text(*plan)));
        EXPECT_EQ(back->hash(), plan->hash());
        EXPECT_EQ(plan->raster(-1, 4, 4).size(), 16u);
        EXPECT_GE(plan->stats().planning_seconds, 0);
        // Bits do not depend on threads.
        EXPECT_EQ(plan_once(name, clip.at(), make_machine(machine_isa(), 1)->ctx)->hash(), plan->hash());
        EXPECT_EQ(plan_once(name, clip.at(), make_machine(machine_isa(), 5)->ctx)->hash(), plan->hash());
      }
      // (c) all blocks on is exact attention. Both round outputs of size 1 to storage and carry f32 sums.
      std::vector<float> exact = run(*AttentionPlan::dense(g.tokens(), g.tokens()), clip, *m);
      for (const char* spec :
           {"svg:keep=1", "topk:keep=1", "topp:mass=1,keep=1", "adaspa:keep=1", "oracle:keep=1", "sla:keep=1"}) {
        PlanPtr all = plan_once(spec, clip.at(), m->ctx);
        EXPECT_DOUBLE_EQ(all->density(), 1) << spec;
        EXPECT_LT(nmse(run(*all, clip, *m), exact), t == DType::f32 ? 1e-11 : 2 * 0x1p-16) << spec;
      }
    }
  }
}

TEST(DynamicPolicy, NanLeavesThePlanWhole) {
  auto m = make_machine();
  PolicyClip clip({3, 6, 10}, 2, 16, 5);
  for (const TensorView* x : {&clip.q, &clip.k, &clip.v}) x->as<float>()[70 * x->stride(2) + 3] = NAN;
  for (std::string name : kMethods) {
    PlanPtr plan = plan_once(name, clip.at(), m->ctx);
    EXPECT_EQ(plan->stats().empty_rows, 0) << name;
    EXPECT_EQ(plan_once(name, clip.at(), make_machine(machine_isa(), 1)->ctx)->hash(), plan->hash()) << name;
  }
}

TEST(DynamicPolicy, DensityIsWhatWasAsked) {
  auto m = make_machine();
  PolicyClip clip({4, 8, 16}, 2, 16, 3);  // 512 tokens: 8 blocks of 64, 8 tiles of 64
  for (const char* name : {"topk", "adaspa:adapt=0", "oracle", "sla:block_q=64"}) {
    for (auto [keep, blocks] : {std::pair{"0.25", 2}, {"0.3", 2}, {"0.374", 2}, {"0.375", 3}, {"0.01", 1}, {"0.99", 7}}) {
      std::string spec = std::string(name) + (std::string(name).find(':') == std::string::npos ? ":" : ",") + "keep=" + keep;
      EXPECT_DOUBLE_EQ(plan_once(spec, clip.at(), m->ctx)->density(), blocks / 8.0) << spec;
    }
  }
  // topp reads more where attention is flat, and at least `keep`.
  double wide = plan_once("topp:mass=0.95", clip.at(), m->ctx)->density(),
         narrow = plan_once("topp:mass=0.3", clip.at(), m->ctx)->density();
  EXPECT_GT(wide, narrow);
  EXPECT_DOUBLE_EQ(plan_once("topp:mass=0,keep=0.25", clip.at(), m->ctx)->density(), 0.25);
  PolicyClip flat({4, 8, 16}, 2, 16, 3);
  for (int64_t h = 0; h < 2; ++h) {
    for (int64_t i = 0; i < 512; ++i) {
      for (int64_t c = 0; c < 16; ++c) flat.q.as<float>()[h * flat.q.stride(1) + i * flat.q.stride(2) + c] = 0;
    }
  }
  // Equal shares of 1/8: 0.6 needs five of them, 0.9 all eight.
  EXPECT_DOUBLE_EQ(plan_once("topp:mass=0.6", flat.at(), m->ctx)->density(), 5 / 8.0);
  EXPECT_DOUBLE_EQ(plan_once("topp", flat.at(), m->ctx)->density(), 1);
}

TEST(DynamicPolicy, OracleKeepsTheMost) {
  auto m = make_machine();
  const Grid g{5, 1, 64};  // the tile is 1x1x64, so that tiles are the same blocks as those of `oracle` and `sla`
  ASSERT_EQ(exact_tile(g, 64), (Thw{1, 1, 64}));
  for (uint64_t seed : {1, 2, 3}) {
    PolicyClip clip(g, 3, 16, seed, DType::f32, 1.5f);
    auto recall = [&](const std::string& spec) {
      PlanPtr plan = plan_once(spec, clip.at(), m->ctx);
      EXPECT_DOUBLE_EQ(plan->density(), 0.4) << spec;
      return clip.recall(*plan);
    };
    double best = recall("oracle:keep=0.4"), topk = recall("topk:keep=0.4"), sla = recall("sla:keep=0.4,block_q=64");
    EXPECT_GE(best, topk - 1e-6);
    EXPECT_GE(best, sla - 1e-6);
    EXPECT_DOUBLE_EQ(recall("adaspa:keep=0.4,adapt=0"), best);
    EXPECT_GT(best, 0.5) << "the clip has structure to find";
    EXPECT_GT(topk, 0.4) << "means find some of it";
  }
}

TEST(ExactTile, WanGrids) {
  // 21x30x52: 63 of 64 tokens is 21x3x1, a column of the clip; 60 in 3x5x4 is compact and more than 90% as full.
  EXPECT_EQ(exact_tile({21, 30, 52}, 64), (Thw{3, 5, 4}));
  EXPECT_EQ(exact_tile({21, 30, 52}, 128), (Thw{3, 10, 4}));
  EXPECT_EQ(exact_tile({21, 45, 80}, 64), (Thw{3, 5, 4}));
  EXPECT_EQ(exact_tile({21, 45, 80}, 128), (Thw{3, 5, 8}));
  EXPECT_EQ(exact_tile({9, 8, 8}, 64), (Thw{1, 8, 8}));
}

TEST(ExactTile, Rules) {
  Random r(5);
  for (int round = 0; round < 300; ++round) {
    Grid g{1 + r.below(25), 1 + r.below(64), 1 + r.below(64)};
    for (int64_t block : {64, 128}) {
      Thw tile = exact_tile(g, block);
      EXPECT_LE(tile.count(), block);
      int64_t fullest = 0;
      for (int64_t t = 1; t <= g.t; ++t) {
        for (int64_t h = 1; h <= g.h; ++h) {
          for (int64_t w = 1; w <= g.w; ++w) {
            if (g.t % t == 0 && g.h % h == 0 && g.w % w == 0 && t * h * w <= block) fullest = std::max(fullest, t * h * w);
          }
        }
      }
      bool exact = g.t % tile.t == 0 && g.h % tile.h == 0 && g.w % tile.w == 0;
      if (2 * fullest >= block) {
        EXPECT_TRUE(exact) << g.t << "x" << g.h << "x" << g.w;
        EXPECT_GE(10 * tile.count(), 9 * fullest);
      }
      // Clipped tiles are worth having: on average at least as full as the exact ones.
      Tiling tiling = tile_tokens(g, tile, {1, 1, 1});
      EXPECT_GE(double(g.tokens()) / double(tiling.blocks.count()), 0.9 * double(fullest) - 1e-9);
    }
  }
  EXPECT_EQ(exact_tile({1, 1, 1}, 64), (Thw{1, 1, 1}));
  EXPECT_EQ(exact_tile({1, 1, 3}, 64), (Thw{1, 1, 3}));
  EXPECT_EQ(exact_tile({3, 4, 4}, 128), (Thw{3, 4, 4}));
  EXPECT_EQ(exact_tile({1, 61, 61}, 64), (Thw{1, 1, 61})) << "as compact as 1x61x1: the smaller height";
  EXPECT_EQ(exact_tile({1, 67, 67}, 64), (Thw{1, 8, 8})) << "no side divides: 81 clipped tiles, 1 more than of 1x9x7";
}

}  // namespace
}  // namespace zt
