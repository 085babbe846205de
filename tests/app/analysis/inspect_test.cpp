// What inspect shows: measures against brute force, files, and that looking changes nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "app/analysis/attention_capture.h"
#include "model/policy/policy.h"
#include "tests/app/headless/program.h"
#include "tests/support/testing.h"

namespace zt {
namespace {

using namespace zt::testing;

TEST(Decay, FitsAnExponential) {
  std::vector<double> y;
  for (int x = 0; x < 20; ++x) y.push_back(std::exp(-0.3 * x - 2));
  ExponentialFit f = fit_exponential(y);
  EXPECT_NEAR(f.a, 0.3, 1e-12);
  EXPECT_NEAR(f.b, -2, 1e-12);
  EXPECT_NEAR(f.r2, 1, 1e-12);
  EXPECT_NEAR(f.a_y, 0.3, 1e-9);
  EXPECT_NEAR(f.b_y, -2, 1e-9);
  EXPECT_NEAR(f.r2_y, 1, 1e-9);
  y[0] += 1;  // an outlier that is large in y and small in log y
  ExponentialFit g = fit_exponential(y);
  EXPECT_GT(g.a_y, g.a + 0.1);
  EXPECT_GT(g.r2_y, 0.9);
  EXPECT_EQ(fit_exponential(std::vector<double>{1, 0}).r2, 0);  // too few points
}

TEST(Decay, TellsKindsOfHeadsApart) {
  Grid g{4, 8, 8};
  std::vector<int32_t> queries{21, 165};
  std::vector<float> spatial(2 * 256, 0), temporal(2 * 256, 0), even(2 * 256, 1.f / 256);
  for (int r = 0; r < 2; ++r) {
    int frame = queries[size_t(r)] / 64, place = queries[size_t(r)] % 64;
    for (int k = 0; k < 64; ++k) spatial[size_t(r * 256 + frame * 64 + k)] = 1.f / 64;
    for (int t = 0; t < 4; ++t) temporal[size_t(r * 256 + t * 64 + place)] = 0.25f;
  }
  Decay s = decay_of(spatial, queries, g), t = decay_of(temporal, queries, g), e = decay_of(even, queries, g);
  EXPECT_EQ(s.kind, HeadKind::spatial);
  EXPECT_EQ(t.kind, HeadKind::temporal);
  EXPECT_EQ(e.kind, HeadKind::other);
  EXPECT_NEAR(s.own_frame, 1, 1e-6);
  EXPECT_NEAR(t.own_place, 1, 1e-6);
  EXPECT_NEAR(e.own_frame, 0.25, 1e-6);
  EXPECT_NEAR(t.over_frames[2], 0.25, 1e-6);
  EXPECT_NEAR(s.over_space[3], 1.f / 64, 1e-6);
  EXPECT_NEAR(s.over_frames[1], 0, 1e-6);
}

class Capture : public ::testing::Test {
 protected:
  static constexpr int64_t kHeads = 2, kDim = 32;
  Grid grid{3, 4, 8};
  int64_t n = grid.tokens();
  std::unique_ptr<Machine> machine = make_machine();
  std::vector<CapturedHead> heads;

  // Attention by the driver with the method, captured.
  void attend(const std::string& spec) {
    std::vector<AttentionRecord> records;
    AttentionCapture capture({}, [&](const CapturedHead& h) {
      heads.push_back(h);
      return ok_status();
    });
    AttentionDriver driver(must(make_policy(spec)));
    driver.hooks = {&capture};
    driver.records = &records;
    Site site;
    site.grid = grid;
    ASSERT_TRUE(driver.attend(site, args, nullptr, machine->ctx).ok());
    EXPECT_GT(capture.seconds(), 0);
  }
  double logit(int64_t h, int64_t i, int64_t j) const {
    double dot = 0;
    for (int64_t c = 0; c < kDim; ++c) dot += double(q.as<float>()[(h * n + i) * kDim + c]) * double(k.as<float>()[(h * n + j) * kDim + c]);
    return dot / std::sqrt(double(kDim));
  }

  Shape shape{1, kHeads, n, kDim};
  Tensor q = random_tensor(machine->arena, DType::f32, shape, 1), k = random_tensor(machine->arena, DType::f32, shape, 2),
         v = random_tensor(machine->arena, DType::f32, shape, 3), out = random_tensor(machine->arena, DType::f32, shape, 4);
  AttentionArgs args{q, k, v, out, {}};
};

TEST_F(Capture, AgreesWithBruteForce) {
  attend("window:window=1x3x3");
  ASSERT_EQ(heads.size(), size_t(kHeads));
  PlanPtr plan = must(static_plan(*must(make_policy("window:window=1x3x3")), grid, kHeads, machine->ctx));
  for (const CapturedHead& c : heads) {
    EXPECT_EQ(grid.h * grid.w % c.block, 0);
    ASSERT_EQ(c.blocks * c.block, n);
    double recall = 0, worst = 1;
    for (int64_t b = 0; b < c.blocks; ++b) {
      std::vector<double> mass(size_t(c.blocks), 0);
      for (int64_t i = b * c.block; i < (b + 1) * c.block; ++i) {
        std::vector<uint8_t> keep(static_cast<size_t>(n));
        plan->expand_row(c.head, i, keep);
        double all = 0, kept = 0;
        for (int64_t j = 0; j < n; ++j) all += std::exp(logit(c.head, i, j));
        for (int64_t j = 0; j < n; ++j) {
          double p = std::exp(logit(c.head, i, j)) / all;
          mass[size_t(j / c.block)] += p / double(c.block);
          if (keep[size_t(j)]) kept += p;
        }
        recall += kept / double(n), worst = std::min(worst, kept);
      }
      double sum = 0;
      for (int64_t j = 0; j < c.blocks; ++j) {
        EXPECT_NEAR(c.mass[size_t(b * c.blocks + j)], mass[size_t(j)], 1e-5);
        sum += double(c.mass[size_t(b * c.blocks + j)]);
      }
      EXPECT_NEAR(sum, 1, 1e-3);
    }
    EXPECT_NEAR(c.recall, recall, 1e-5);
    EXPECT_NEAR(c.recall_worst, worst, 1e-5);
    EXPECT_NEAR(c.density, plan->density(c.head), 1e-12);
  }
}

TEST_F(Capture, DenseKeepsAll) {
  attend("dense");
  for (const CapturedHead& c : heads) {
    EXPECT_EQ(c.recall, 1);
  EXPECT_EQ(c.recall_worst, 1);
    EXPECT_EQ(*std::min_element(c.kept.begin(), c.kept.end()), 1.f);
  }
}

TEST(InspectCommand, LeavesAReportAndTheSameClip) {
  TempFolder dir;
  std::vector<std::string> job = {"-p", "a cat", "--size", "32x32", "--frames", "5", "--steps", "3", "--attn", "window:window=1x3x3", "--progress", "none"};
  auto with = [&](std::vector<std::string> args, const std::vector<std::string>& more) {
    args.insert(args.end(), job.begin(), job.end());
    args.insert(args.end(), more.begin(), more.end());
    return run(dir, args);
  };
  Finished f = with({"inspect"}, {"-o", "out", "--at-steps", "0,2", "--at-layers", "1", "--at-heads", "0-1", "--save-frames", "a.safetensors"});
  ASSERT_EQ(f.code, 0) << f.err;
  auto report = nlohmann::json::parse(read_all(dir.path() + "/out/report.json"));
  EXPECT_EQ(report["settings"]["prompt"], "a cat");
  ASSERT_EQ(report["entries"].size(), 4u);
  for (const auto& e : report["entries"]) {
    EXPECT_EQ(e["layer"], 1);
  EXPECT_EQ(e["branch"], "cond");
  EXPECT_EQ(e["policy"], "window");
    EXPECT_TRUE(e["recall"].get<double>() > 0 && e["recall"].get<double>() < 1);
    for (const char* key : {"mass_png", "plan_png", "frames_png", "space_png"})
      EXPECT_EQ(read_all(dir.path() + "/out/" + e[key].get<std::string>()).substr(1, 3), "PNG");
  }
  std::string html = read_all(dir.path() + "/out/report.html");
  EXPECT_THAT(html, ::testing::HasSubstr("data:image/png;base64,"));
  for (const char* outside : {"http:", "https:", "src=\"step"}) EXPECT_EQ(html.find(outside), html.npos) << outside;
  EXPECT_FALSE(read_all(dir.path() + "/out/clip.mp4").empty());
  // Looking changes nothing.
  ASSERT_EQ(with({"render"}, {"-o", "b.mp4", "--save-frames", "b.safetensors"}).code, 0);
  Finished same = run(dir, {"compare", "a.safetensors", "b.safetensors", "--json"});
  EXPECT_TRUE(nlohmann::json::parse(same.out)["identical"].get<bool>());
  EXPECT_EQ(with({"inspect"}, {"-o", "out"}).code, 2);  // it is there already
  EXPECT_EQ(with({"inspect"}, {"-o", "out2", "--at-steps", "7"}).code, 2);
  EXPECT_EQ(with({"inspect"}, {"-o", "out2", "--at-heads", "2-1"}).code, 2);
}

}  // namespace
}  // namespace zt
