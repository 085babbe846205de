// Every panel on the null platform: synthetic events in, synthetic input, actions out; at sizes from tiny to large.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <imgui.h>
#include <imgui_internal.h>

#include <cmath>
#include <iterator>
#include <random>
#include <set>

#include "app/analysis/heat_map.h"
#include "tests/ui/states.h"
#include "ui/panels/panels.h"
#include "ui/platform/null_platform.h"
#include "ui/state/sample.h"
#include "ui/widgets/heat.h"

namespace zt::ui {
namespace {

using namespace zt::ui::testing;

// A window with its state: draws, takes the actions, and finds controls by pressing where they are.
class Stage {
 public:
  Stage(int width, int height) : platform(width, height), state(fresh_state()) {}

  void frame() {
    actions.clear();
    platform.begin_frame();
    draw_all({state, platform, memo, actions});
    platform.end_frame();
    if (state.focus_changed) reduce(state, FocusTaken{});
    for (const Action& a : actions) {
      all.push_back(a);
      for (Effect& e : reduce(state, a)) effects.push_back(std::move(e));
    }
  }
  void frames(int n) {
    for (int i = 0; i < n; ++i) frame();
  }
  void click(float x, float y) {
    platform.mouse(x, y, false);
    frames(2);
    platform.mouse(x, y, true);
    frames(2);
    platform.mouse(x, y, false);
    frames(2);
  }
  void key(int code, bool ctrl = false, bool shift = false) {
    platform.key(code, true, ctrl, shift);
    frames(2);
    platform.key(code, false);
    frames(2);
  }
  template <class T>
  std::vector<T> did() const {
    std::vector<T> found;
    for (const Action& a : all) {
      if (const auto* x = std::get_if<T>(&a)) found.push_back(*x);
    }
    return found;
  }
  bool pressed(const std::string& name) const {
    for (const Press& p : did<Press>()) {
      if (p.name == name) return true;
    }
    return false;
  }
  Layout layout() const {
    return make_layout(float(platform.width()), float(platform.height()), kText, state.focus, state.inspector_open);
  }

  static constexpr float kText = 15;
  NullPlatform platform;
  AppState state;
  ViewMemo memo;
  std::vector<Action> actions, all;
  Effects effects;
};

// Everything a panel can show at once.
void fill(AppState& s) {
  for (int i = 0; i < 4; ++i) render(s);
  reduce(s, stepped(1, 7, 20));
  reduce(s, Event{1, std::string("memory: 196 MiB needed, 19 GiB available")});
  reduce(s, Event{1, Preview{7, grey_clip(16, 16, 3)}});
  reduce(s, Event{1, table(7, 6, 5)});
  reduce(s, Event{1, map(7, 2, 3)});
  reduce(s, Event{1, true_map(7, 2, 3)});
  reduce(s, Action(Press{"true-attention"}));
  reduce(s, Action(PickCell{2, 3}));
  reduce(s, Action(PickQuery{1}));
  reduce(s, Action(SetMethod{"radial"}));
  reduce(s, Action(AddPin{{2, 3, "dense"}}));
  JobEstimate e;
  e.version = s.estimate_version, e.tokens = 576, e.layers = 6, e.heads = 5, e.weights_mb = 20, e.peak_mb = 100,
  e.available_mb = 1000;
  e.warning = "outside of what the model was trained on";
  reduce(s, DeskAnswer(e));
  reduce(s, DeskAnswer(ClipLoaded{"/clips/a.mp4", 0, grey_clip(64, 48, 9), ""}));
  reduce(s, DeskAnswer(ClipLoaded{"/clips/b.mp4", 1, grey_clip(64, 48, 9), ""}));
  s.gallery.clips.push_back({"/clips/a.mp4", s.form.spec, grey_clip(16, 16, 1)});
  s.gallery.clips.push_back({"/clips/b.mp4", s.form.spec, nullptr});
}

struct Sized {
  int width, height;
};

class EverySize : public ::testing::TestWithParam<Sized> {};

TEST_P(EverySize, EveryPanelDrawsEmptyAndFull) {
  for (bool full : {false, true}) {
    Stage stage(GetParam().width, GetParam().height);
    if (full) fill(stage.state);
    for (int panel = 0; panel < kPanels; ++panel) {
      for (CellColour colour : {CellColour::density, CellColour::recall, CellColour::time}) {
        reduce(stage.state, Action(OpenPanel{Panel(panel)}));
        reduce(stage.state, Action(ColourBy{colour}));
        stage.frames(3);
        EXPECT_GT(stage.platform.triangles(), 0);
      }
    }
    reduce(stage.state, Action(Press{"live"}));
    stage.frames(2);
    reduce(stage.state, Action(Press{"keys"}));
    stage.frames(3);
    reduce(stage.state, Action(Press{"dismiss"}));
    reduce(stage.state, Action(AskToClose{}));
    stage.frames(3);
    EXPECT_TRUE(stage.state.quit || stage.state.dialog == Dialog::close);
  }
}

TEST_P(EverySize, PanelsLieInsideTheWindowAndNotOnEachOther) {
  float w = float(GetParam().width), h = float(GetParam().height);
  for (int focus = 0; focus < kPanels; ++focus) {
    for (bool inspector : {false, true}) {
      Layout l = make_layout(w, h, Stage::kText, Panel(focus), inspector);
      std::vector<Box> boxes = {l.status};
      if (l.tabs) boxes.push_back(l.tab_bar);
      for (const Box& b : l.panels) {
        if (b.shown()) boxes.push_back(b);
      }
      EXPECT_TRUE(w < 100 || l.panels[focus].shown() || (Panel(focus) == Panel::attention && !inspector && !l.tabs));
      for (size_t i = 0; i < boxes.size(); ++i) {
        const Box& a = boxes[i];
        EXPECT_TRUE(a.x >= 0 && a.y >= 0 && a.x + a.w <= w + 0.01f && a.y + a.h <= h + 0.01f) << i;
        for (size_t j = i + 1; j < boxes.size(); ++j) {
          const Box& b = boxes[j];
          bool apart =
              a.x + a.w <= b.x + 0.01f || b.x + b.w <= a.x + 0.01f || a.y + a.h <= b.y + 0.01f || b.y + b.h <= a.y + 0.01f;
          EXPECT_TRUE(apart) << i << " and " << j;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Windows, EverySize,
                         ::testing::Values(Sized{1440, 900}, Sized{940, 560}, Sized{640, 480}, Sized{320, 200}, Sized{1, 1},
                                           Sized{3840, 2160}),
                         [](const auto& p) { return std::to_string(p.param.width) + "x" + std::to_string(p.param.height); });

TEST(Panels, APromptOfTenThousandLettersIsShownAndRendered) {
  Stage stage(1440, 900);
  std::string words;
  while (words.size() < 10000) words += "a red balloon ";
  reduce(stage.state, Action(SetField{"prompt", words}));
  stage.frames(3);
  reduce(stage.state, Action(SetField{"prompt", std::string(10000, 'x')}));
  stage.frames(3);
  stage.key(257, true);  // Ctrl+Enter in GLFW's numbers
  EXPECT_EQ(of_kind<SubmitJob>(stage.effects).size(), 1u);
  stage.frames(3);
}

TEST(Panels, TypingIntoThePromptBoxChangesThePrompt) {
  Stage stage(1440, 900);
  stage.click(100, 60);
  ASSERT_TRUE(ImGui::GetIO().WantTextInput) << "the prompt box is not where it was";
  stage.platform.type(" at night");
  stage.frames(2);
  EXPECT_THAT(stage.state.form.spec.prompt, ::testing::HasSubstr(" at night"));
  stage.key(32);  // space belongs to the box, not to the player
  EXPECT_FALSE(stage.pressed("play"));
}

TEST(Panels, AnExampleBecomesThePrompt) {
  Stage stage(1440, 900);
  const Box create = stage.layout().of(Panel::create);
  auto open_examples = [&] {  // the arrow stands right of the word "Prompt", in the panel's first line
    for (float x = 20; x < 160 && GImGui->OpenPopupStack.empty(); x += 8) stage.click(create.x + x, create.y + 18);
  };
  open_examples();
  EXPECT_TRUE(GImGui->OpenPopupStack.empty()) << "nothing to choose from";
  stage.state.examples = {"a cat grows", "a dog sinks at night"};
  open_examples();
  ASSERT_EQ(GImGui->OpenPopupStack.Size, 1);
  ImRect popup = GImGui->OpenPopupStack[0].Window->InnerRect;
  stage.click(popup.Min.x + 20, popup.Min.y + popup.GetHeight() * 0.7f);
  EXPECT_EQ(stage.state.form.spec.prompt, "a dog sinks at night");
  stage.state.form.spec.model = "another";  // they are the embedded model's
  open_examples();
  EXPECT_TRUE(GImGui->OpenPopupStack.empty());
}

TEST(Panels, TheBigButtonRenders) {
  Stage stage(1440, 900);
  const Box create = stage.layout().of(Panel::create);
  stage.click(create.x + create.w / 2, create.y + create.h - 30);
  EXPECT_EQ(of_kind<SubmitJob>(stage.effects).size(), 1u);
}

TEST(Panels, EveryKeyOfTheTableDoesWhatItSays) {
  struct Case {
    int code;
    bool ctrl, shift;
    const char* name;
  };
  for (auto [code, ctrl, shift, name] : {Case{257, true, false, "render"},
                                         {'D', true, false, "dice"},
                                         {32, false, false, "play"},
                                         {262, false, false, "next-frame"},
                                         {262, true, true, "head-right"},
                                         {'T', true, false, "theme"},
                                         {290, false, false, "keys"},
                                         {'4', true, false, "attention"},
                                         {'Q', true, false, "quit"}}) {
    Stage stage(1440, 900);
    stage.frames(2);
    stage.key(code, ctrl, shift);
    EXPECT_TRUE(stage.pressed(name)) << name;
  }
}

TEST(Panels, DraggingInThePictureMovesTheWipe) {
  Stage stage(1440, 900);
  reduce(stage.state, DeskAnswer(ClipLoaded{"/a.mp4", 0, grey_clip(64, 64, 2), ""}));
  reduce(stage.state, DeskAnswer(ClipLoaded{"/b.mp4", 1, grey_clip(64, 64, 2), ""}));
  const Box viewer = stage.layout().of(Panel::viewer);
  stage.click(viewer.x + viewer.w / 2 - 50, viewer.y + viewer.h / 3);
  ASSERT_FALSE(stage.did<SetWipe>().empty());
  EXPECT_LT(stage.state.viewer.wipe, 0.5f);
  EXPECT_TRUE(stage.platform.shown().count("viewer b"));
}

TEST(Panels, ClickingACellAndARowOfItsMapSelectsThem) {
  Stage stage(1440, 900);
  show_sample(stage.state);
  reduce(stage.state, Action(PickCell{0, 0}));
  stage.frames(2);
  const Box box = stage.layout().of(Panel::attention);
  // A sweep over the left half meets cells, whatever the exact geometry.
  std::set<int64_t> layers, heads;
  for (int i = 0; i < 6; ++i) stage.click(box.x + 30 + 45.f * float(i), box.y + 90 + 30.f * float(i));
  for (const PickCell& c : stage.did<PickCell>()) layers.insert(c.layer), heads.insert(c.head);
  EXPECT_GE(layers.size(), 4u);
  EXPECT_GE(heads.size(), 4u);
  reduce(stage.state, Action(PickCell{4, 5}));
  for (int i = 0; i < 6; ++i) stage.click(box.x + box.w * 0.5f, box.y + 100 + 25.f * float(i));
  EXPECT_GE(stage.did<PickQuery>().size(), 4u);
  EXPECT_TRUE(stage.platform.shown().count("block map"));
}

TEST(Panels, AClosedDialogGivesTheMouseBack) {
  Stage stage(1440, 900);
  render(stage.state);
  reduce(stage.state, Action(AskToClose{}));
  stage.frames(3);
  const Box create = stage.layout().of(Panel::create);
  stage.click(create.x + create.w / 2, create.y + create.h - 30);
  EXPECT_TRUE(stage.state.queue.pending.empty()) << "the dialog is in front";
  reduce(stage.state, Action(AnswerClose{false}));
  stage.frames(3);
  stage.click(create.x + create.w / 2, create.y + create.h - 30);
  EXPECT_EQ(stage.state.queue.pending.size(), 1u);
}

TEST(Panels, LightAndLargeTextDraw) {
  Stage stage(1440, 900);
  fill(stage.state);
  for (double scale : {0.5, 1., 2., 4.}) {
    stage.platform.set_look(scale > 1, scale);
    stage.frames(3);
    EXPECT_GT(stage.platform.triangles(), 0);
  }
}

// Whatever is clicked, typed and resized while events rain in: nothing asserts, and a job that runs goes on running unless
// it was cancelled by name.
TEST(Panels, RandomUseBreaksNothing) {
  Stage stage(1440, 900);
  fill(stage.state);
  std::mt19937 random(7);
  auto pick = [&](int n) { return int(random() % unsigned(n)); };
  const int kKeys[] = {32,  256, 257, 258, 261, 262, 263, 264, 265, 268, 269, 290,
                       'D', 'L', 'S', 'T', 'B', 'R', '1', '2', '3', '4', ',', '.'};
  for (int i = 0; i < 3000; ++i) {
    switch (pick(8)) {
      case 0:
        stage.platform.mouse(float(pick(stage.platform.width())), float(pick(stage.platform.height())), pick(2) == 0);
        break;
      case 1: stage.platform.key(kKeys[pick(std::size(kKeys))], true, pick(2) == 0, pick(4) == 0); break;
      case 2:
        for (int key : kKeys) stage.platform.key(key, false);
        break;
      case 3: stage.platform.type(pick(2) ? "a\xc3\xa9" : "7"); break;
      case 4:
        if (pick(20) == 0) stage.platform.resize(1 + pick(2000), 1 + pick(1200));
        break;
      case 5: reduce(stage.state, Event{1, table(pick(40), 1 + pick(8), 1 + pick(8))}); break;
      case 6: reduce(stage.state, Event{1, (pick(2) ? map : true_map)(pick(40), pick(8), pick(8) - 1)}); break;
      case 7: reduce(stage.state, stepped(1, pick(20), 20)); break;
    }
    stage.frame();
    ASSERT_TRUE(stage.state.queue.running);
    for (const CancelJob& c : of_kind<CancelJob>(stage.effects)) {
      ASSERT_TRUE(stage.pressed("cancel")) << c.request;
    }
    stage.effects.clear();
    stage.state.quit = false;
  }
}

TEST(Heat, IsTheScaleOfThePicturesOnDisk) {
  std::vector<float> values;
  for (int i = 0; i <= 255; ++i) values.push_back(float(i) / 255);
  std::vector<uint8_t> wanted = heat_colours(values);
  // Straight lines between every 32nd of the scale, rounded: viridis bends by less than 2 levels between two of them.
  constexpr int kBend = 2;
  for (size_t i = 0; i < values.size(); ++i) {
    uint32_t rgb = heat_rgb(values[i]);
    for (size_t c = 0; c < 3; ++c) EXPECT_NEAR(int(rgb >> (16 - 8 * c) & 255), int(wanted[i * 3 + c]), kBend) << i;
  }
  EXPECT_EQ(heat_rgb(-1), heat_rgb(0));
  EXPECT_EQ(heat_rgb(2), heat_rgb(1));
  EXPECT_EQ(heat_rgb(std::nanf("")), heat_rgb(0));
}

}  // namespace
}  // namespace zt::ui
