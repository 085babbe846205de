// The table of methods, what a SPEC may say, the dense warm-up, and static plans.
#include <gmock/gmock.h>

#include "model/policy/parameters.h"
#include "model/policy/policy.h"
#include "tests/support/testing.h"

namespace zt {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::must;

PlanPtr plan_of(const std::string& spec, const Grid& grid) {
  auto policy = must(make_policy(spec), spec.c_str());
  return must(static_plan(*policy, grid, 1, {}), spec.c_str());
}

TEST(PolicyTable, IsComplete) {
  for (const PolicyInfo& info : policy_table()) {
    EXPECT_FALSE(info.name.empty() || info.summary.empty() || info.citation.empty()) << info.name;
    for (const PolicyParameter& p : info.parameters) {
      EXPECT_FALSE(p.name.empty() || p.help.empty() || p.range().empty()) << info.name << " " << p.name;
      EXPECT_EQ(p.help.find('\n'), std::string::npos);
      // A default is a legal value, and so is every choice and its other spellings.
      EXPECT_TRUE(make_policy(info.name + ":" + p.name + "=" + p.fallback).ok()) << info.name << " " << p.name;
      for (const auto& c : p.choices) EXPECT_TRUE(make_policy(info.name + ":" + p.name + "=" + c).ok()) << c;
      for (const auto& [alias, c] : p.aliases) EXPECT_TRUE(make_policy(info.name + ":" + p.name + "=" + alias).ok()) << alias;
    }
    auto policy = must(make_policy(info.name));
    EXPECT_EQ(policy->name(), info.name);
    for (const char* common : {"dense_steps", "dense_last_steps", "dense_layers"}) {
      EXPECT_TRUE(make_policy(info.name + ":" + common + "=3").ok()) << info.name;
    }
  }
}

void refused(const std::string& spec, std::vector<std::string> parts) {
  auto r = make_policy(spec);
  ASSERT_FALSE(r.ok()) << spec;
  EXPECT_EQ(r.status().code(), Code::kInvalid);
  EXPECT_EQ(r.status().message().find('\n'), std::string::npos);
  EXPECT_LT(r.status().message().size(), 700u);
  for (const auto& p : parts) EXPECT_THAT(r.status().message(), HasSubstr(p)) << spec;
}

TEST(PolicySpec, ErrorsNameParameterRangeAndNearest) {
  refused("", {"unknown attention method ''"});
  refused("RADAIL", {"nearest known one is 'radial'"});
  refused("radail", {"unknown attention method 'radail'", "nearest known one is 'radial'"});
  refused("radial:", {"key=value expected"});
  refused("radial:decai=0.2", {"no parameter 'decai'", "'decay'", "a number in 0..1"});
  refused("radial:decay", {"'decay' needs a value", "0..1"});
  refused("radial:decay=", {"'decay' is ''", "0..1"});
  for (const char* bad : {"1.5", "-0.1", "nan", "inf", "0.2x", " 0.2", "1e999", "0x1"}) {
    refused(std::string("radial:decay=") + bad, {"'decay' is '", "a number in 0..1", "default 1"});
  }
  refused("radial:block=96", {"'block' is '96'", "64 | 128"});
  refused("radial:sink=2", {"'sink' is '2'", "1 | 0"});
  refused("radial:near=all", {"full | half | decay"});
  refused("radial:variant=exakt", {"shipped | exact"});
  refused("radial:decay=0.2,decay=0.3", {"'decay' stands twice"});
  refused("radial:decay=0.2,", {"no parameter ''"});
  refused("radial:,decay=0.2", {"no parameter ''"});
  refused("radial:decay=0.2;block=64", {"'decay' is '0.2;block=64'"});
  refused("radial:dense_step=2", {"'dense_steps'", "a whole number in 0..100000"});
  refused("radial:dense_steps=-1", {"'dense_steps' is '-1'"});
  refused("radial:dense_steps=2.5", {"'dense_steps' is '2.5'"});
  refused("dense:decay=1", {"dense has no parameter 'decay'"});
  refused("window:window=3x3", {"'window' is '3x3'", "TxHxW, each 0..4096"});
  refused("window:window=3x3x3x3", {"'window' is"});
  refused("window:window=3x-1x3", {"'window' is"});
  refused("window:window=99999999999999999999x1x1", {"'window' is"});
  refused("window:stride=0x1x1", {"TxHxW, each 1..4096"});
  refused("window:window=4x4x4,stride=1x5x1", {"'stride' along h is 5, allowed are 1..4"});
  refused("window:tile=64x64x64", {"'tile' holds 262144 tokens"});
  refused("window:mode=block", {"token | tile"});
  refused("radial:" + std::string(100000, 'x'), {"longer than 4096"});
  refused(std::string(100000, 'x'), {"unknown attention method"});
}

TEST(PolicySpec, ReadsEveryType) {
  PolicyInfo info;
  info.name = "m";
  info.parameters = policy_table()[1].parameters;  // radial
  Parameters p = must(Parameters::parse(info, "decay=0.25,sink=off,near=s//2,dense_layers=4"));
  EXPECT_EQ(p.fraction("decay"), 0.25);
  EXPECT_FALSE(p.boolean("sink"));
  EXPECT_EQ(p.choice("near"), "half");
  EXPECT_EQ(p.integer("dense_layers"), 4);
  EXPECT_TRUE(p.given("near"));
  EXPECT_FALSE(p.given("block"));
  EXPECT_EQ(p.choice("block"), "128");
  EXPECT_THROW((void)p.integer("nothing"), Bug);
}

TEST(WarmUp, DenseStepsAndLayers) {
  auto policy = must(make_policy("radial:decay=0.2,dense_steps=2,dense_last_steps=1,dense_layers=3"));
  PolicyInput in;
  in.site.grid = {18, 16, 16};
  in.site.steps = 10, in.site.layers = 8;
  for (in.site.step = 0; in.site.step < 10; ++in.site.step) {
    for (in.site.layer = 0; in.site.layer < 8; ++in.site.layer) {
      PlanPtr plan = must(policy->plan(in, {}));
      bool dense = in.site.step < 2 || in.site.step >= 9 || in.site.layer < 3;
      EXPECT_EQ(plan->is_dense(), dense) << in.site.step << " " << in.site.layer;
      EXPECT_EQ(plan->nq(), 18 * 256);
    }
  }
  in.site.step = in.site.layer = 0;
  in.past_warm_up = true;
  EXPECT_FALSE(must(policy->plan(in, {}))->is_dense());
}

TEST(StaticPlans, AreMadeOncePerGrid) {
  auto policy = must(make_policy("window:window=3x3x3"));
  PolicyInput in;
  in.site.grid = {4, 6, 6};
  PlanPtr first = must(policy->plan(in, {}));
  in.site.layer = 5, in.site.step = 3, in.site.branch = Branch::uncond;
  EXPECT_EQ(must(policy->plan(in, {})), first);
  in.site.grid = {4, 6, 7};
  EXPECT_NE(must(policy->plan(in, {})), first);
  in.site.grid = {4, 6, 6};
  EXPECT_EQ(must(policy->plan(in, {})), first);
}

TEST(StaticPlans, TokensMustFitTheGrid) {
  auto policy = must(make_policy("radial"));
  Arena arena;
  Tensor q = must(arena.zeros(DType::f32, {1, 2, 7, 4}));
  PolicyInput in;
  in.site.grid = {1, 2, 4};
  in.q = in.k = in.v = q;
  EXPECT_THAT(policy->plan(in, {}).status().message(), AllOf(HasSubstr("7 queries"), HasSubstr("1x2x4 = 8 tokens")));
  in.site.grid = {0, 2, 4};
  EXPECT_THAT(policy->plan(in, {}).status().message(), HasSubstr("at least 1"));
  in.q = in.k = in.v = {};
  in.site.grid = {int64_t(1) << 40, int64_t(1) << 40, int64_t(1) << 40};
  EXPECT_THAT(policy->plan(in, {}).status().message(), HasSubstr("at most 1048576"));
  in.site.grid = {1, 1, 1000000};
  EXPECT_THAT(must(make_policy("window"))->plan(in, {}).status().message(), HasSubstr("250000 tiles along one axis"));
  in.site.grid = {64, 128, 128};
  EXPECT_THAT(must(make_policy("window:window=0x0x0,tile=1x1x1"))->plan(in, {}).status().message(), HasSubstr("larger tiles"));
  EXPECT_THAT(must(make_policy("window:window=0x0x0,tile=1x1x1,mode=tile"))->plan(in, {}).status().message(),
              HasSubstr("larger tiles"));
}

TEST(WindowPolicy, SpecialCases) {
  EXPECT_DOUBLE_EQ(plan_of("window:window=0x31x53,tile=1x8x8", {1, 68, 120})->density(), 31.0 * 53 / 8160);  // FreeSwim
  PlanPtr sta = plan_of("window:mode=tile,tile=6x8x8", {30, 48, 80});                                        // 3x3x3 tiles
  EXPECT_DOUBLE_EQ(sta->density(), 27.0 / 300.0);
  EXPECT_EQ(sta->parts().q.block, 384);
  EXPECT_EQ(plan_of("window:window=1x4x4,stride=1x4x4,tile=1x4x4", {2, 8, 8})->kept_blocks(), 8);  // Swin
  for (Grid g : {Grid{1, 1, 1}, Grid{1, 1, 3}, Grid{1, 30, 52}}) {
    for (const char* spec : {"window", "window:mode=tile", "window:dilation=2x2x2", "window:window=1x1x1"}) {
      EXPECT_EQ(plan_of(spec, g)->stats().empty_rows, 0) << spec;
    }
  }
  EXPECT_EQ(plan_of("window:window=18x24x24", {9, 8, 8})->density(), 1);  // larger than every axis
  // Unless given, the published window takes its share of every grid.
  EXPECT_DOUBLE_EQ(plan_of("window:stride=16x8x8", {30, 48, 80})->density(), 0.09);
  EXPECT_DOUBLE_EQ(plan_of("window", {9, 8, 8})->density(), 5.0 * 4 * 2 / 576);
}

TEST(SpecHash, IsOfTheText) {
  EXPECT_EQ(must(spec_hash("dense")).size(), 64u);
  EXPECT_NE(must(spec_hash("dense")), must(spec_hash("radial")));
  EXPECT_FALSE(spec_hash("@/no/such/file.toml").ok());
}

}  // namespace
}  // namespace zt
