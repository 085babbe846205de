// `zoetrope verify` on every kind of clip.
#include "tests/e2e/batch_support.h"

namespace zt {
namespace {

using namespace zt::testing;
using ::testing::HasSubstr;

class Verify : public ::testing::TestWithParam<const char*> {};

TEST_P(Verify, TellsEqualFromChanged) {
  TempFolder dir;
  const std::string clip = GetParam();
  Finished made = run(dir, {"render", "-p", "a red ball", "--size", "32x32", "--frames", "5", "--steps", "2", "-o", clip, "--progress", "none"});
  ASSERT_EQ(made.code, 0) << made.err;
  auto before = dir.entries();
  Finished f = run(dir, {"verify", clip, "--json", "--progress", "none"});
  EXPECT_EQ(f.code, 0) << f.err;
  json same = json::parse(f.out);
  EXPECT_EQ(same["verdict"], "bit-equal");
  EXPECT_EQ(same["frames"], 5);
  EXPECT_EQ(dir.entries(), before) << "it writes nothing here";
  // The settings of another seed beside these frames: a container has them in itself, so its side file changes nothing.
  if (clip.find(".mp4") != clip.npos) return;
  const std::string side = dir / (clip.substr(0, clip.find_first_of("/_")) + ".json");
  json settings = json::parse(read_all(side));
  settings["seed"] = 7;
  write_all(side, settings.dump());
  f = run(dir, {"verify", clip, "--json", "--progress", "none"});
  json other = json::parse(f.out);
  EXPECT_NE(other["verdict"], "bit-equal");
  EXPECT_THAT(other["why"].dump(), HasSubstr("their hash does not fit"));
}

INSTANTIATE_TEST_SUITE_P(Kinds, Verify, ::testing::Values("a.mp4", "shots/", "f_%02d.png"),
                         [](const auto& i) { return std::string(i.index == 0 ? "Container" : i.index == 1 ? "Folder" : "Pattern"); });

}  // namespace
}  // namespace zt
