// The real window on a virtual screen, driven by scripts; and what it says where there is no screen.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "app/media/clip_reader.h"
#include "tests/ui/desktop/screen.h"

namespace zt::ui {
namespace {

using namespace zt::ui::testing;
using ::testing::HasSubstr;
using zt::testing::TempFolder;
using zt::testing::write_all;

struct Picture {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> rgb;
  const uint8_t* at(int64_t x, int64_t y) const { return &rgb[size_t((y * width + x) * 3)]; }
};

Picture read_picture(const std::string& path) {
  auto reader = ClipReader::open(path);
  EXPECT_TRUE(reader.ok()) << path << ": " << reader.status().message();
  Picture p;
  if (!reader.ok()) return p;
  p.width = (*reader)->info().width, p.height = (*reader)->info().height;
  p.rgb.resize(size_t(p.width * p.height * 3));
  auto more = (*reader)->next(p.rgb.data());
  EXPECT_TRUE(more.ok() && *more);
  return p;
}

// Distinct colours (of 4 bits a channel) in a part of the picture, given in shares of its sides.
size_t colours(const Picture& p, double x0, double y0, double x1, double y1) {
  std::set<int> seen;
  for (int64_t y = int64_t(y0 * double(p.height)); y < int64_t(y1 * double(p.height)); ++y) {
    for (int64_t x = int64_t(x0 * double(p.width)); x < int64_t(x1 * double(p.width)); ++x) {
      const uint8_t* c = p.at(x, y);
      seen.insert((c[0] >> 4) << 8 | (c[1] >> 4) << 4 | c[2] >> 4);
    }
  }
  return seen.size();
}

// Share of pixels in the same part that have the ground's colour, as the window's lower middle edge shows it.
double ground(const Picture& p, double x0, double y0, double x1, double y1) {
  const uint8_t* g = p.at(p.width / 2, p.height - 4);
  int64_t same = 0, all = 0;
  for (int64_t y = int64_t(y0 * double(p.height)); y < int64_t(y1 * double(p.height)); ++y) {
    for (int64_t x = int64_t(x0 * double(p.width)); x < int64_t(x1 * double(p.width)); ++x, ++all)
      same += std::equal(g, g + 3, p.at(x, y));
  }
  return double(same) / double(all);
}

double mean(const Picture& p) {
  double sum = 0;
  for (uint8_t v : p.rgb) sum += v;
  return sum / double(p.rgb.size());
}

class Window : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!screen.works()) GTEST_SKIP() << "Xvfb is not installed (package xvfb)";
  }
  Ended play(const std::string& script, const std::string& size = "1440x900") {
    write_all(folder / "s.txt", script);
    return run_window(folder, screen.display(), {"--size", size, "--script", folder / "s.txt"});
  }
  Screen screen;
  TempFolder folder;
};

TEST_F(Window, FromPromptToClipToInspector) {
  Ended e = play(
      "set prompt a red balloon rises in a blue sky\nset size 32x32\nset frames 5\nset steps 2\nset cfg_scale 1\n"
      "screenshot before.png\npress Render\nwait done\nopen inspector\nscreenshot after.png\npress theme\nscreenshot "
      "light.png\nquit\n");
  EXPECT_EQ(e.code, 0) << e.err;
  EXPECT_EQ(e.err, "");
  Picture before = read_picture(folder / "before.png"), after = read_picture(folder / "after.png"),
          light = read_picture(folder / "light.png");
  ASSERT_EQ(before.width, 1440);
  ASSERT_EQ(before.height, 900);
  // The viewer is in the middle: before the run it holds a line of text, after it a clip.
  EXPECT_GT(ground(before, 0.4, 0.1, 0.6, 0.4), 0.9);
  EXPECT_LT(ground(after, 0.4, 0.1, 0.6, 0.4), 0.1);
  // The inspector's cells of a dense run are all as yellow as the scale goes (0xfde725); none were there before.
  auto yellow = [](const Picture& p) {
    size_t n = 0;
    for (int64_t i = 0; i < p.width * p.height; ++i) {
      const uint8_t* c = &p.rgb[size_t(i * 3)];
      n += c[0] == 0xfd && c[1] == 0xe7 && c[2] == 0x25;
    }
    return n;
  };
  EXPECT_EQ(yellow(before), 0u);
  EXPECT_GT(yellow(after), 5000u);
  EXPECT_GT(mean(light), mean(after) + 80);
  std::string clips = folder / "Videos/zoetrope/a-red-balloon-rises-in-a-blue-sky-0001";
  EXPECT_TRUE(std::filesystem::exists(clips + ".mp4"));
  EXPECT_TRUE(std::filesystem::exists(clips + ".json"));
}

TEST_F(Window, AScreenshotWithoutAnythingElse) {
  Ended e = run_window(folder, screen.display(), {"--screenshot", "shot.png"});
  EXPECT_EQ(e.code, 0) << e.err;
  Picture p = read_picture(folder / "shot.png");
  EXPECT_GE(colours(p, 0.25, 0.6, 0.6, 0.95), 20u) << "the sample heat map";
  EXPECT_GE(colours(p, 0, 0, 0.25, 1), 10u) << "the form";
}

TEST_F(Window, TheSmallestWindowAndOneWithoutFonts) {
  Ended e = run_window(folder, screen.display(), {"--size", "320x200", "--screenshot", "small.png"});
  EXPECT_EQ(e.code, 0) << e.err;
  EXPECT_EQ(read_picture(folder / "small.png").width, 320);
  e = run_window(folder, screen.display(), {"--screenshot", "own.png"}, {{"ZOETROPE_FONT", "none"}});
  EXPECT_EQ(e.code, 0) << e.err;
  EXPECT_GE(colours(read_picture(folder / "own.png"), 0, 0, 0.25, 1), 10u);
}

TEST_F(Window, AModelThatIsNotThereIsSaidAndTheWindowStays) {
  Ended e = play("set model /not/there\nwait 0.3\nscreenshot a.png\npress render\nwait done\nquit\n");
  EXPECT_EQ(e.code, 1);
  EXPECT_THAT(e.err, HasSubstr("/not/there does not exist"));
}

TEST(WindowRefusals, AScriptIsReadBeforeAnythingIsOpened) {
  TempFolder folder;
  write_all(folder / "bad.txt", "press render\njump\n");
  Ended e = run_window(folder, "", {"--script", "bad.txt"});
  EXPECT_EQ(e.code, 2);
  EXPECT_THAT(e.err, HasSubstr("line 2: there is no verb `jump`"));
  EXPECT_EQ(run_window(folder, "", {"--script", "absent.txt"}).code, 2);
  EXPECT_EQ(run_window(folder, "", {"--frobnicate"}).code, 2);
  EXPECT_EQ(run_window(folder, "", {"--size", "wide"}).code, 2);
}

TEST(WindowRefusals, WithoutADisplayItSaysWhatToDo) {
  TempFolder folder;
  Ended e = run_window(folder, "", {"--screenshot", "a.png"});
  EXPECT_EQ(e.code, 1);
  EXPECT_THAT(e.err, HasSubstr("zoetrope-desktop: no window: "));
  EXPECT_THAT(e.err, HasSubstr("graphical session"));
}

TEST_F(Window, WithoutOpenGlItSaysWhatToDo) {
  Ended e = run_window(folder, screen.display(), {"--screenshot", "a.png"}, {{"MESA_GL_VERSION_OVERRIDE", "2.1"}});
  EXPECT_EQ(e.code, 1) << e.err;
  EXPECT_THAT(e.err, HasSubstr("OpenGL"));
  EXPECT_THAT(e.err, HasSubstr("install"));
}

}  // namespace
}  // namespace zt::ui
