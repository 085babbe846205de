// What the form does with what is typed into it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/ui/states.h"

namespace zt::ui {
namespace {

using namespace zt::ui::testing;
using ::testing::HasSubstr;

void set(AppState& s, const std::string& field, const std::string& text) { reduce(s, Action(SetField{field, text})); }

TEST(Form, OpensWithTheEmbeddedModelAndAPromptThatWorks) {
  AppState s = fresh_state();
  EXPECT_EQ(s.form.spec.model, "mini");
  EXPECT_FALSE(s.form.spec.prompt.empty());
  Effects effects = render(s);
  ASSERT_EQ(of_kind<SubmitJob>(effects).size(), 1u);
  EXPECT_EQ(validate(of_kind<SubmitJob>(effects)[0].spec), "");
}

TEST(Form, SnapsSizeAndLengthAndSaysSo) {
  AppState s = fresh_state();
  set(s, "size", "480x270");
  EXPECT_EQ(s.form.spec.size, (Size{480, 272}));
  EXPECT_THAT(s.notice.text, HasSubstr("480x272"));
  set(s, "frames", "80");
  EXPECT_EQ(s.form.spec.frames, 81);
  EXPECT_THAT(s.notice.text, HasSubstr("81"));
  set(s, "seconds", "2");  // 32 frames at 16 fps
  EXPECT_EQ(s.form.spec.frames, 33);
  EXPECT_EQ(s.form.spec.seconds, 0);  // frames say it
  set(s, "size", "1x100000");
  EXPECT_EQ(s.form.spec.size, (Size{kMinSide, kMaxSide}));
}

TEST(Form, AnAspectKeepsTheArea) {
  AppState s = fresh_state();
  set(s, "size", "832x480");
  reduce(s, Action(SetAspect{9, 16}));
  const Size& z = s.form.spec.size;
  EXPECT_EQ(z.width % kSizeStep, 0);
  EXPECT_LT(z.width, z.height);
  // Each side is off by at most half a step.
  double exact_w = std::sqrt(832. * 480 * 9 / 16), exact_h = std::sqrt(832. * 480 * 16 / 9);
  EXPECT_NEAR(double(z.width), exact_w, kSizeStep / 2.);
  EXPECT_NEAR(double(z.height), exact_h, kSizeStep / 2.);
}

TEST(Form, WhatCannotBeReadChangesNothingAndIsSaid) {
  AppState s = fresh_state();
  JobSpec before = s.form.spec;
  for (auto [field, text] : {std::pair{"steps", "many"}, {"size", "big"}, {"frames", ""}, {"nonsense", "1"}}) {
    set(s, field, text);
    EXPECT_EQ(s.form.spec, before) << field;
    EXPECT_EQ(s.notice.kind, Notice::Kind::error) << field;
  }
}

TEST(Form, AnInvalidJobIsNotAddedAndTheReasonIsShown) {
  AppState s = fresh_state();
  set(s, "fps", "-3");
  Effects effects = render(s);
  EXPECT_TRUE(effects.empty());
  EXPECT_FALSE(busy(s));
  EXPECT_THAT(s.notice.text, HasSubstr("fps"));
}

TEST(Form, AFreeSeedIsDrawnForEachRenderALockedOneStays) {
  AppState s = fresh_state();
  int64_t kept = s.form.spec.seed;
  render(s);
  EXPECT_EQ(s.form.spec.seed, kept);
  reduce(s, Action(Press{"lock"}));
  render(s);
  int64_t first = s.form.spec.seed;
  render(s);
  EXPECT_NE(first, kept);
  EXPECT_NE(s.form.spec.seed, first);
  EXPECT_GE(first, 0);
  set(s, "seed", "77");  // a typed seed is meant
  EXPECT_TRUE(s.form.seed_locked);
}

TEST(Form, MethodAndSpecGoTogetherBothWays) {
  AppState s = fresh_state();
  reduce(s, Action(SetMethod{"radial"}));
  EXPECT_EQ(s.form.spec.attn, "radial");
  reduce(s, Action(SetParameter{"block", "64"}));
  EXPECT_EQ(s.form.spec.attn, "radial:block=64");
  set(s, "attn", "radial:decay=0.5,block=64");
  EXPECT_EQ(s.form.method.values.at("decay"), "0.5");
  set(s, "attn", "@plans.toml");
  EXPECT_EQ(s.form.method.name, kPlanFile);
  EXPECT_EQ(s.form.spec.attn, "@plans.toml");
  reduce(s, Action(SetMethod{"radial"}));
  reduce(s, Action(SetParameter{"decay", "7"}));  // out of range
  EXPECT_EQ(s.notice.kind, Notice::Kind::error);
  EXPECT_TRUE(render(s).empty());
}

TEST(Form, EveryMethodOfTheRegistryIsLegalWithItsDefaults) {
  for (const MethodInfo& m : method_infos()) {
    MethodChoice choice{m.name, {}};
    for (const MethodParameter& p : m.parameters) choice.values[p.name] = p.fallback;
    EXPECT_EQ(check_method(choice, method_infos()), "") << m.name;
    EXPECT_EQ(method_spec(choice, method_infos()), m.name);
  }
}

TEST(Form, AnEstimateIsAskedWhenTheAnswerWouldChange) {
  AppState s = fresh_state();
  EXPECT_TRUE(of_kind<EstimateJob>(reduce(s, Action(SetField{"prompt", "x"}))).empty());
  auto asked = of_kind<EstimateJob>(reduce(s, Action(SetField{"steps", "9"})));
  ASSERT_EQ(asked.size(), 1u);
  JobEstimate late, right;
  late.version = asked[0].version - 1, late.tokens = 1, right.version = asked[0].version, right.tokens = 2;
  reduce(s, DeskAnswer(right));
  reduce(s, DeskAnswer(late));
  EXPECT_EQ(s.estimate->tokens, 2);
}

TEST(Form, TimeIsUnknownUntilTheSameWorkHasRun) {
  AppState s = fresh_state();
  set(s, "steps", "20");
  EXPECT_LT(expected_seconds(s), 0);
  render(s);
  reduce(s, finished(1));  // 20 steps in 10 s, 2 s of decoding
  EXPECT_DOUBLE_EQ(expected_seconds(s), 12);
  set(s, "steps", "40");
  EXPECT_DOUBLE_EQ(expected_seconds(s), 22);
  set(s, "frames", "17");
  EXPECT_LT(expected_seconds(s), 0);
}

TEST(Form, SettingsOfAClipComeBackWhole) {
  AppState s = fresh_state();
  JobSpec stored;
  stored.prompt = "a cat", stored.seed = 9, stored.attn = "radial:block=64", stored.output = "/elsewhere/x.mp4";
  auto asked = of_kind<ReadSettings>(reduce(s, Action(DropPaths{{"/d/x.json", "/d/y.mp4"}})));
  ASSERT_EQ(asked.size(), 2u);
  reduce(s, DeskAnswer(SettingsRead{"/d/x.json", stored, ""}));
  EXPECT_EQ(s.form.spec.prompt, "a cat");
  EXPECT_EQ(s.form.spec.seed, 9);
  EXPECT_EQ(s.form.method.name, "radial");
  EXPECT_EQ(s.form.spec.output, "");  // it must not be written over
  reduce(s, DeskAnswer(SettingsRead{"/d/z.json", {}, "z.json: damaged"}));
  EXPECT_EQ(s.form.spec.prompt, "a cat");
  EXPECT_EQ(s.notice.kind, Notice::Kind::error);
}

TEST(Form, SigmasStepsAndShiftTheNewestWins) {
  AppState s = fresh_state();
  set(s, "flow_shift", "5");
  set(s, "sigmas", "1,0.9,0.75,0.5");
  EXPECT_EQ(s.form.spec.steps, 4);
  EXPECT_EQ(s.form.spec.flow_shift, 0);
  set(s, "steps", "4");
  EXPECT_EQ(s.form.spec.sigmas.size(), 4u);
  set(s, "steps", "8");
  EXPECT_TRUE(s.form.spec.sigmas.empty());
  EXPECT_EQ(s.form.spec.steps, 8);
  EXPECT_THAT(s.notice.text, HasSubstr("sigmas"));
  set(s, "sigmas", "1,0.5");
  set(s, "flow_shift", "3");
  EXPECT_TRUE(s.form.spec.sigmas.empty());
  EXPECT_EQ(s.form.spec.steps, 2);
}

TEST(Form, AVariantBringsItsMethodAndTheNextModelItsOwn) {
  AppState s = fresh_state();
  set(s, "model", "mini-4step");
  ModelDescribed answer;
  answer.model = answer.defaults.model = "mini-4step";
  answer.defaults.steps = 4, answer.defaults.sampler = "euler", answer.defaults.sigmas = {1, 0.9, 0.75, 0.5};
  answer.defaults.cfg_scale = 1, answer.defaults.attn = "radial:block=64";
  reduce(s, DeskAnswer(answer));
  EXPECT_EQ(s.form.spec.sigmas.size(), 4u);
  EXPECT_EQ(s.form.spec.sampler, "euler");
  EXPECT_EQ(s.form.spec.attn, "radial:block=64");
  EXPECT_EQ(s.form.method.name, "radial");
  set(s, "model", "mini");
  answer = {};
  answer.model = "mini";
  reduce(s, DeskAnswer(answer));
  EXPECT_TRUE(s.form.spec.sigmas.empty());
  EXPECT_EQ(s.form.spec.attn, "dense");
  EXPECT_EQ(s.form.method.name, "dense");
  EXPECT_EQ(s.form.spec.steps, 20);
}

TEST(Form, ADroppedFolderIsAModelAndBringsItsDefaults) {
  AppState s = fresh_state();
  auto asked = of_kind<DescribeModel>(reduce(s, Action(DropPaths{{"/models/wan"}})));
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(s.recent_models.front(), "/models/wan");
  ModelDescribed answer;
  answer.model = "/models/wan", answer.defaults.size = {832, 480}, answer.defaults.steps = 50;
  reduce(s, DeskAnswer(answer));
  EXPECT_EQ(s.form.spec.size, (Size{832, 480}));
  EXPECT_EQ(s.form.spec.steps, 50);
  answer.model = "/models/other", answer.defaults.steps = 3;  // an answer that comes too late
  reduce(s, DeskAnswer(answer));
  EXPECT_EQ(s.form.spec.steps, 50);
}

}  // namespace
}  // namespace zt::ui
