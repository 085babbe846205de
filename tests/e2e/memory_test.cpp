// What a render says it needs beside what it took.
#include "tests/e2e/batch_support.h"

namespace zt {
namespace {

using namespace zt::testing;
using ::testing::HasSubstr;

struct Case {
  const char* name;
  std::vector<std::string> args;
};

class Memory : public ::testing::TestWithParam<Case> {};

TEST_P(Memory, EstimateIsWithinATenthOfThePeak) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "its shadow memory is no part of an estimate";
#endif
  TempFolder dir;
  std::vector<std::string> args = {"render", "-p", "a red ball", "-o", "a.mp4", "--json", "--progress", "none"};
  args.insert(args.end(), GetParam().args.begin(), GetParam().args.end());
  Finished f = run(dir, args);
  ASSERT_EQ(f.code, 0) << f.err;
  json j = json::parse(f.out);
  double estimate = j["memory_estimate_mb"], peak = j["peak_mb"];
  EXPECT_NEAR(estimate, peak, peak / 10) << f.err;
  std::printf("%s: %.0f MiB estimated, %.0f taken\n", GetParam().name, estimate, peak);
}

INSTANTIATE_TEST_SUITE_P(
    SixShapes, Memory,
    ::testing::Values(Case{"Preset", {"--steps", "2"}},
                      Case{"DenseWide", {"--steps", "1", "--size", "256x256", "--frames", "33"}},
                      Case{"TopK", {"--steps", "1", "--size", "320x192", "--frames", "49", "--attn", "topk"}},
                      Case{"AdaSpaInTiles", {"--steps", "3", "--size", "256x256", "--frames", "81", "--vae-tiling", "on", "--attn", "adaspa"}},
                      Case{"SlaF32", {"--steps", "1", "--size", "384x256", "--frames", "17", "--attn", "sla", "--precision", "f32"}},
                      Case{"SvgReport", {"--steps", "1", "--size", "256x256", "--frames", "81", "--vae-tiling", "on", "--attn", "svg", "--report", "r.json"}}),
    [](const auto& i) { return std::string(i.param.name); });

TEST(MemoryRefusal, NamesASizeThatFits) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "its shadow memory alone is beyond the budget";
#endif
  TempFolder dir;
  std::vector<std::string> job = {"render", "-p", "x", "-o", "a.mp4", "--steps", "1", "--frames", "5", "--max-memory", "0.13", "--progress", "none"};
  auto with = [&](const std::string& size) {
    std::vector<std::string> args = job;
    args.insert(args.end(), {"--size", size});
    return run(dir, args);
  };
  Finished f = with("1280x720");
  EXPECT_EQ(f.code, 4);
  size_t at = f.err.find("allows"), end = f.err.find(" with 5 frames fits");
  ASSERT_TRUE(at != f.err.npos && end != f.err.npos) << f.err;
  std::string size = f.err.substr(f.err.rfind(' ', end - 1) + 1, end - f.err.rfind(' ', end - 1) - 1);
  Finished fitting = with(size);
  EXPECT_EQ(fitting.code, 0) << size << ": " << fitting.err;
}

// The largest job that can be said: what it would take is known without taking it.
TEST(MemoryRefusal, OfTheLargestJobIsQuick) {
  TempFolder dir;
  std::vector<std::string> job = {"render", "-p", "x", "-o", "a.mp4", "--size", "8192x8192", "--frames", "10001", "--progress", "none"};
  Finished usual = run(dir, {"render", "-p", "x", "-o", "a.mp4", "--dry-run"});
  ASSERT_EQ(usual.code, 0) << usual.err;
  for (std::vector<std::string> more : {std::vector<std::string>{}, {"--max-memory", "1"}, {"--report", "r.json", "--attn", "radial"}}) {
    std::vector<std::string> args = job;
    args.insert(args.end(), more.begin(), more.end());
    Finished f = run(dir, args);
    EXPECT_EQ(f.code, 4) << f.err;
#if !defined(__SANITIZE_ADDRESS__)
    EXPECT_LT(f.cpu_s, 2) << args.back();
    EXPECT_LT(f.peak_mb, usual.peak_mb + 64) << args.back();
#endif
  }
  EXPECT_TRUE(dir.entries().empty());
}

}  // namespace
}  // namespace zt
