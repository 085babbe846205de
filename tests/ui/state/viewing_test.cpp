// Viewer and inspector as state, and the scripts that drive them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/ui/states.h"
#include "ui/state/buttons.h"
#include "ui/state/script.h"

namespace zt::ui {
namespace {

using namespace zt::ui::testing;
using ::testing::HasSubstr;

void press(AppState& s, const char* name) { reduce(s, Action(Press{name})); }

TEST(Viewer, TheFinishedClipLoopsAndTheOneBeforeWaitsForComparison) {
  AppState s = fresh_state();
  render(s);
  auto asked = of_kind<LoadClip>(reduce(s, finished(1)));
  ASSERT_EQ(asked.size(), 1u);
  reduce(s, DeskAnswer(ClipLoaded{asked[0].path, 0, grey_clip(32, 32, 8), ""}));
  EXPECT_TRUE(animated(s));
  reduce(s, Elapsed{0.51});  // frames of 1/16 s
  EXPECT_EQ(shown_frame(s.viewer), 0) << "8 frames last half a second";
  reduce(s, Elapsed{0.1});
  EXPECT_EQ(shown_frame(s.viewer), 1);
  reduce(s, DeskAnswer(ClipLoaded{"/clips/second.mp4", 0, grey_clip(32, 32, 8), ""}));
  EXPECT_EQ(s.viewer.b_path, asked[0].path);
  press(s, "compare");
  EXPECT_TRUE(s.viewer.comparing);
  press(s, "swap");
  EXPECT_EQ(s.viewer.a_path, asked[0].path);
}

TEST(Viewer, StepsThroughFramesAndStopsAtTheEnds) {
  AppState s = fresh_state();
  reduce(s, DeskAnswer(ClipLoaded{"/a.mp4", 0, grey_clip(8, 8, 5), ""}));
  press(s, "next-frame");
  press(s, "next-frame");
  EXPECT_EQ(shown_frame(s.viewer), 2);
  EXPECT_FALSE(s.viewer.playing);
  press(s, "last-frame");
  press(s, "next-frame");
  EXPECT_EQ(shown_frame(s.viewer), 4);
  press(s, "first-frame");
  press(s, "previous-frame");
  EXPECT_EQ(shown_frame(s.viewer), 0);
  reduce(s, Action(Seek{1e30}));
  EXPECT_EQ(shown_frame(s.viewer), 4);
  reduce(s, Action(SetWipe{-3}));
  EXPECT_EQ(s.viewer.wipe, 0);
}

TEST(Viewer, RestsWhenNobodyUsesIt) {
  AppState s = fresh_state();
  reduce(s, DeskAnswer(ClipLoaded{"/a.mp4", 0, grey_clip(8, 8, 16), ""}));
  for (int i = 0; i < 19; ++i) reduce(s, Elapsed{1});
  EXPECT_TRUE(animated(s));
  reduce(s, Action(SetWipe{0.3f}));
  for (int i = 0; i < 19; ++i) reduce(s, Elapsed{1});
  EXPECT_TRUE(animated(s)) << "any action counts";
  for (int i = 0; i < 3; ++i) reduce(s, Elapsed{1});
  EXPECT_FALSE(animated(s));
  press(s, "play");
  EXPECT_TRUE(animated(s));
}

TEST(Viewer, SavesTheShownFrameBesideTheClip) {
  AppState s = fresh_state();
  EXPECT_TRUE(of_kind<SavePicture>(reduce(s, Action(Press{"save-frame"}))).empty());
  EXPECT_EQ(s.notice.kind, Notice::Kind::error);
  reduce(s, DeskAnswer(ClipLoaded{"/clips/a.mp4", 0, grey_clip(8, 8, 5), ""}));
  press(s, "last-frame");
  auto saved = of_kind<SavePicture>(reduce(s, Action(Press{"save-frame"})));
  ASSERT_EQ(saved.size(), 1u);
  EXPECT_EQ(saved[0].path, "/clips/a-frame4.png");
  EXPECT_EQ(saved[0].frame, 4);
}

TEST(Inspector, FollowsTheNewestStepUntilOneIsPicked) {
  AppState s = fresh_state();
  render(s);
  for (int64_t step = 1; step <= 3; ++step) reduce(s, Event{1, table(step, 4, 2)});
  EXPECT_EQ(s.inspector.step, 3);
  press(s, "previous-step");
  reduce(s, Event{1, table(4, 4, 2)});
  EXPECT_EQ(s.inspector.step, 2);
  reduce(s, Action(PickStep{100}));
  EXPECT_EQ(s.inspector.step, 4);
  reduce(s, Event{1, table(5, 4, 2)});
  EXPECT_EQ(s.inspector.step, 5) << "at the end it follows again";
}

TEST(Inspector, CellsStayInsideTheTable) {
  AppState s = fresh_state();
  render(s);
  reduce(s, Event{1, table(1, 4, 2)});
  reduce(s, Action(PickCell{100, -5}));
  EXPECT_EQ(s.inspector.layer, 3);
  EXPECT_EQ(s.inspector.head, 0);
  press(s, "head-right");
  press(s, "head-right");
  press(s, "layer-up");
  EXPECT_EQ(s.inspector.layer, 2);
  EXPECT_EQ(s.inspector.head, 1);
  reduce(s, Event{1, table(2, 1, 1)});  // a smaller model
  EXPECT_EQ(s.inspector.layer, 0);
}

TEST(Inspector, AMapStandsUntilTheNextOneOfItsHead) {
  AppState s = fresh_state();
  render(s);
  for (int64_t step = 1; step <= 5; ++step) reduce(s, Event{1, table(step, 4, 2)});
  reduce(s, Event{1, map(1, 2, -1)});
  reduce(s, Event{1, map(3, 2, 1)});
  reduce(s, Event{1, map(5, 3, 1)});
  reduce(s, Action(PickCell{2, 1}));
  auto step_of_map = [&](int64_t step) {
    reduce(s, Action(PickStep{step}));
    const AttentionMap* m = shown_map(s.inspector);
    return m ? m->step : -1;
  };
  EXPECT_EQ(step_of_map(1), 1) << "all heads";
  EXPECT_EQ(step_of_map(2), 1);
  EXPECT_EQ(step_of_map(3), 3) << "its own";
  EXPECT_EQ(step_of_map(5), 3);
  reduce(s, Action(PickCell{2, 0}));
  EXPECT_EQ(step_of_map(5), 1);
  reduce(s, Action(PickCell{1, 0}));
  EXPECT_EQ(step_of_map(5), -1);
}

TEST(Inspector, TablesThatDoNotFitThemselvesAreNotTaken) {
  AppState s = fresh_state();
  render(s);
  AttentionTable wrong = table(1, 4, 2);
  wrong.density.pop_back();
  reduce(s, Event{1, wrong});
  wrong = table(1, 0, 0);
  reduce(s, Event{1, wrong});
  AttentionMap map_wrong = map(1, 0, 0);
  map_wrong.kept.resize(3);
  reduce(s, Event{1, map_wrong});
  map_wrong = true_map(1, 0, 0), map_wrong.mass.resize(3);
  reduce(s, Event{1, map_wrong});
  map_wrong = map(1, 0, 0), map_wrong.key_block = 0;
  reduce(s, Event{1, map_wrong});
  map_wrong = map(1, 0, 0), map_wrong.key_block_of.assign(48, 6);  // there are six blocks, 0..5
  reduce(s, Event{1, map_wrong});
  EXPECT_TRUE(s.inspector.tables.empty());
  EXPECT_TRUE(s.inspector.maps.empty());
  EXPECT_TRUE(s.inspector.true_maps.empty());
}

TEST(Inspector, TrueAttentionIsMeasuredForTheChosenHeadOnly) {
  AppState s = fresh_state();
  render(s);
  for (int64_t step = 1; step <= 4; ++step) reduce(s, Event{1, table(step, 4, 2)});
  reduce(s, Event{1, map(1, 2, 1)});
  reduce(s, Event{1, true_map(2, 2, 1)});
  EXPECT_TRUE(of_kind<MeasureHead>(reduce(s, Action(PickCell{2, 1}))).empty()) << "off until it is asked for";
  reduce(s, Action(PickStep{2}));
  EXPECT_TRUE(shown_map(s.inspector)->mass.empty());
  auto asked = of_kind<MeasureHead>(reduce(s, Action(Press{"true-attention"})));
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].head, (MeasuredHead{2, 1}));
  EXPECT_FALSE(shown_map(s.inspector)->mass.empty());
  reduce(s, Action(PickStep{3}));
  EXPECT_EQ(shown_map(s.inspector)->step, 2) << "the one of the step before";
  reduce(s, Action(PickStep{4}));
  EXPECT_EQ(shown_map(s.inspector)->step, 1) << "mass of two steps ago is not true any more; the plan is";
  EXPECT_TRUE(of_kind<MeasureHead>(reduce(s, Action(PickQuery{1}))).empty());
  asked = of_kind<MeasureHead>(reduce(s, Action(Press{"head-left"})));
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].head, (MeasuredHead{2, 0}));
  asked = of_kind<MeasureHead>(reduce(s, Action(Press{"true-attention"})));
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].head, MeasuredHead{});
}

TEST(Buttons, EachHasOneNameAndOneKeyAndDoesNotFail) {
  std::set<std::string> names, keys;
  for (const Button& b : buttons()) {
    EXPECT_TRUE(names.insert(std::string(b.name)).second) << b.name;
    EXPECT_TRUE(b.key.key == Chord::none || keys.insert(chord_text(b.key)).second) << b.name;
    AppState s = fresh_state();
    reduce(s, Action(Press{std::string(b.name)}));
    EXPECT_THAT(s.notice.text, ::testing::Not(HasSubstr("no button")));
  }
  EXPECT_EQ(find_button("RENDER"), find_button("render"));
  EXPECT_EQ(find_button("Save frame"), find_button("save-frame"));
  EXPECT_EQ(find_button("rend"), nullptr);
}

TEST(Script, ReadsEveryVerb) {
  std::vector<ScriptLine> lines;
  std::string text =
      "# a comment\n\n  set prompt  a cat, \"here\"\nset size 64x32\r\nset prompt \"quoted\"\npress Render\nwait done\nwait 0.5\n"
      "open Inspector\nscreenshot /tmp/a b.png\nquit";
  ASSERT_EQ(parse_script(text, lines), "");
  ASSERT_EQ(lines.size(), 9u);
  EXPECT_EQ(std::get<SetField>(lines[0].action).text, "a cat, \"here\"");
  EXPECT_EQ(std::get<SetField>(lines[2].action).text, "quoted");
  EXPECT_EQ(lines[0].number, 3);
  EXPECT_EQ(lines[5].seconds, 0.5);
  EXPECT_EQ(lines[7].file, "/tmp/a b.png");
  EXPECT_EQ(lines[8].verb, ScriptLine::Verb::quit);
}

TEST(Script, NamesTheLineAndTheNearestWord) {
  struct Case {
    const char *text, *said;
  };
  for (auto [text, said] : {Case{"\nprress render", "line 2: there is no verb `prress`; did you mean `press`?"},
                            {"set promt x", "did you mean `prompt`?"},
                            {"press rendr", "did you mean `render`?"},
                            {"open attentoin", "did you mean `attention`?"},
                            {"wait", "a number of seconds"},
                            {"wait -1", "a number of seconds"},
                            {"wait inf", "a number of seconds"},
                            {"set steps many", "not a whole number"},
                            {"screenshot", "takes a file name"},
                            {"quit now", "takes nothing"}}) {
    std::vector<ScriptLine> lines;
    EXPECT_THAT(parse_script(text, lines), HasSubstr(said)) << text;
  }
}

}  // namespace
}  // namespace zt::ui
