// zoetrope plan: figures, masks as .npy, the picture; and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "app/analysis/heat_map.h"
#include "app/analysis/plan_picture.h"
#include "app/media/clip_reader.h"
#include "model/policy/policy.h"
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

PlanPtr planned(const std::string& attn, const Grid& grid) {
  auto policy = make_policy(attn);
  EXPECT_TRUE(policy.ok()) << policy.status().message();
  auto plan = static_plan(**policy, grid, 1, {});
  EXPECT_TRUE(plan.ok()) << plan.status().message();
  return *plan;
}

// 4 frames of 256 tokens in blocks of 64: four rows of the map a frame.
TEST(PlanCommand, DrawsItsPictureAsInspectDoes) {
  TempFolder dir;
  std::string attn = "radial:decay=0.2,block=64";
  Finished f = run(dir, {"plan", "--attn", attn, "--grid", "4x16x16", "--png", "p.png"});
  ASSERT_EQ(f.code, 0) << f.err;
  Grid grid{4, 16, 16};
  PlanPtr plan = planned(attn, grid);
  std::vector<float> kept;
  for (uint8_t on : plan->block_map(0)) kept.push_back(on);
  MapDrawing map;
  map.title = fmt::format("density {:.3f}: {}", plan->density(), attn), map.rows = map.cols = 16;
  map.frame_rows = map.frame_cols = 4, map.values = kept;
  Picture wanted = draw_map(map);
  auto reader = ClipReader::open(dir.path() + "/p.png");
  ASSERT_TRUE(reader.ok()) << reader.status().message();
  ASSERT_EQ((*reader)->info().width, wanted.width);
  ASSERT_EQ((*reader)->info().height, wanted.height);
  std::vector<uint8_t> seen(wanted.rgb.size());
  auto more = (*reader)->next(seen.data());
  ASSERT_TRUE(more.ok() && *more);
  EXPECT_EQ(seen, wanted.rgb);
  map.frame_rows = map.frame_cols = 0;
  EXPECT_NE(draw_map(map).rgb, wanted.rgb) << "borders are drawn";
}

// Where blocks mix frames, or tokens are moved, a border would say something that is not so.
TEST(PlanPicture, HasBordersOnlyWhereFramesAreStretchesOfBlocks) {
  Grid grid{4, 8, 8};
  for (const char* attn : {"radial:decay=0.2,block=128", "window:window=3x3x3,tile=2x4x4"}) {
    PlanPtr plan = planned(attn, grid);
    int64_t n = plan->parts().q.count();
    std::vector<float> kept = plan->raster(-1, n, n);
    MapDrawing map;
    map.title = "t", map.rows = map.cols = n, map.values = kept;
    EXPECT_EQ(draw_plan(*plan, grid, "t").rgb, draw_map(map).rgb) << attn;
  }
}

// 1200 blocks of a frame each: more than are drawn one by one; an uneven end: blocks are no longer alike.
TEST(PlanPicture, OfManyOrUnevenBlocks) {
  for (const Grid& grid : {Grid{1200, 8, 8}, Grid{3, 5, 7}}) {
    Picture p = draw_plan(*planned("radial:decay=0.2,block=64", grid), grid, "t");
    EXPECT_GT(p.width, 512 / 2);
    EXPECT_EQ(int64_t(p.rgb.size()), p.width * p.height * 3);
  }
}

TEST(HeatMap, EndsOfTheScale) {
  std::vector<float> v{-1, 0, 1, 7};
  EXPECT_EQ(heat_colours(v), (std::vector<uint8_t>{68, 1, 84, 68, 1, 84, 253, 231, 37, 253, 231, 37}));
}

}  // namespace
}  // namespace zt
