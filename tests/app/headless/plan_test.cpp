// zoetrope plan: figures, masks as .npy, the picture; and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "app/analysis/heat_map.h"
#include "tests/app/headless/program.h"

namespace zt {
namespace {

using ::testing::HasSubstr;
using namespace zt::testing;

TEST(PlanCommand, PrintsTheFigures) {
  TempFolder dir;
  Finished f = run(dir, {"plan", "--attn", "radial:decay=0.2,near=half", "--grid", "18x48x80", "--json"});
  ASSERT_EQ(f.code, 0) << f.err;
  auto j = nlohmann::json::parse(f.out);
  EXPECT_EQ(j["q_blocks"], 540);
  EXPECT_EQ(j["k_blocks"], 540);
  EXPECT_EQ(j["kept_blocks"], 76798);
  EXPECT_NEAR(j["sparsity"].get<double>(), 0.7366323, 1e-7);  // as the authors of the method print it
  EXPECT_NEAR(j["density"].get<double>(), 1 - 0.7366323, 1e-6);
  // Dense steps and layers are not the method's own mask.
  Finished g =
      run(dir, {"plan", "--attn", "radial:decay=0.2,near=half,dense_steps=12,dense_layers=1", "--grid", "18x48x80", "--json"});
  EXPECT_EQ(nlohmann::json::parse(g.out)["hash"], j["hash"]);
}

// The bytes after the header, and the header's shape.
std::pair<std::string, std::string> npy(const std::string& text) {
  EXPECT_EQ(text.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  size_t length = size_t(uint8_t(text[8])) | size_t(uint8_t(text[9])) << 8;
  EXPECT_EQ((10 + length) % 64, 0u);
  std::string header = text.substr(10, length);
  EXPECT_EQ(header.back(), '\n');
  size_t a = header.find('('), b = header.find(')');
  return {header.substr(a, b - a + 1), text.substr(10 + length)};
}

TEST(PlanCommand, WritesMasksAndPicture) {
  TempFolder dir;
  Finished f = run(dir, {"plan", "--attn", "window:window=1x3x3,tile=1x2x4", "--grid", "2x4x8", "--mask", "m.npy", "--token-mask",
                         "t.npy", "--png", "p.png", "--json"});
  ASSERT_EQ(f.code, 0) << f.err;
  auto j = nlohmann::json::parse(f.out);
  auto [shape, map] = npy(read_all(dir.path() + "/m.npy"));
  EXPECT_EQ(shape, "(1,8,8,)");
  EXPECT_EQ(std::count(map.begin(), map.end(), 1), j["kept_blocks"].get<int64_t>());
  auto [token_shape, mask] = npy(read_all(dir.path() + "/t.npy"));
  EXPECT_EQ(token_shape, "(1,64,64,)");
  EXPECT_EQ(std::count(mask.begin(), mask.end(), 1), 64 * 9);
  EXPECT_EQ(j["density"].get<double>(), 9.0 / 64);
  for (int64_t q = 0; q < 64; ++q) EXPECT_EQ(mask[size_t(q * 65)], 1);  // its own place, in token order
  std::string png = read_all(dir.path() + "/p.png");
  EXPECT_EQ(png.substr(1, 3), "PNG");
  EXPECT_EQ(dir.entries().size(), 3u);
}

TEST(PlanCommand, Refuses) {
  TempFolder dir;
  auto says = [&](std::vector<std::string> args, const char* word) {
    args.insert(args.begin(), "plan");
    Finished f = run(dir, args);
    EXPECT_EQ(f.code, 2) << f.err;
    EXPECT_THAT(f.err, HasSubstr(word));
    EXPECT_EQ(std::count(f.err.begin(), f.err.end(), '\n'), 1) << f.err;
    EXPECT_EQ(f.out, "");
    EXPECT_TRUE(dir.entries().empty());
  };
  says({"--attn", "radial"}, "--grid");
  says({"--grid", "1x2x3"}, "--attn");
  for (const char* grid : {"", "1x2", "1x2x3x4", "0x2x3", "-1x2x3", "1x2x3 ", "axbxc", "99999999999999999999x1x1", " 1x2x3", "1x 2x3", "+1x2x3"}) {
    says({"--attn", "radial", "--grid", grid}, "TxHxW");
  }
  // For dense attention, too, whose plan is as large as the square; the product of three sides does not wrap around.
  for (const char* attn : {"radial", "dense"}) {
    for (const char* grid : {"9999x9999x9999", "1048577x1x1", "999999999x999999999x999999999", "262144x4x2"}) {
      says({"--attn", attn, "--grid", grid}, "at most 1048576");
    }
  }
  says({"--attn", "radial", "--grid", "32769x1x1"}, "32769 frames");
  says({"--attn", "radial:decai=1", "--grid", "1x2x3"}, "'decay'");
  says({"--attn", "@none.toml", "--grid", "1x2x3"}, "no such file");
  says({"--attn", "dense", "--grid", "2x96x96", "--token-mask", "t.npy"}, "16384");
  says({"--attn", "dense", "--grid", "2x96x96", "--mask", "m.npy", "--token-mask", "t.npy"}, "16384");
  says({"--attn", "dense", "--grid", "1x2x3", "--mask", "m.npy", "--png", "m.npy"}, "two outputs");
  says({"--attn", "dense", "--grid", "1x2x3", "--mask", "none/m.npy"}, "none");
}

TEST(HeatMap, EndsOfTheScale) {
  std::vector<float> v{-1, 0, 1, 7};
  EXPECT_EQ(heat_colours(v), (std::vector<uint8_t>{68, 1, 84, 68, 1, 84, 253, 231, 37, 253, 231, 37}));
}

}  // namespace
}  // namespace zt
