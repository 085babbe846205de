// compare: the measures against their definitions, clips against each other, and what is refused.
#include "app/analysis/compare_clips.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "app/analysis/frame_metrics.h"
#include "model/io/safetensors.h"
#include "tests/app/headless/program.h"
#include "tests/support/testing.h"

namespace zt {
namespace {

using ::testing::HasSubstr;
using namespace zt::testing;

std::vector<uint8_t> noise(size_t n, uint64_t seed, int low = 0, int high = 256) {
  Random r(seed);
  std::vector<uint8_t> v(n);
  for (uint8_t& x : v) x = uint8_t(low + r.below(high - low));
  return v;
}

// Frames as a file that compare reads.
void write_frames(const std::string& path, const std::vector<uint8_t>& rgb, int64_t frames, int64_t height, int64_t width) {
  TensorView t(const_cast<uint8_t*>(rgb.data()), DType::u8, {frames, height, width, 3});
  ASSERT_TRUE(write_safetensors(path, {{"frames", t}}).ok());
}

TEST(FrameMetrics, PsnrByItsDefinition) {
  EXPECT_DOUBLE_EQ(psnr_of(255.0 * 255), 0);
  EXPECT_NEAR(psnr_of(1), 48.1308036, 1e-6);
  EXPECT_EQ(psnr_of(0), kEqualPsnr);
  std::vector<uint8_t> a{0, 10, 255}, b{255, 12, 254};
  EXPECT_EQ(squared_difference(a, b), 255.0 * 255 + 4 + 1);
}

// The definition, with the window as a plain double loop.
double plain_ssim(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b, int h, int w) {
  double g[11], sum = 0, total = 0;
  for (int i = 0; i < 11; ++i) sum += g[i] = std::exp(-(i - 5) * (i - 5) / (2 * 1.5 * 1.5));
  for (double& x : g) x /= sum;
  int n = 0;
  for (int c = 0; c < 3; ++c) {
    for (int y = 5; y < h - 5; ++y) {
      for (int x = 5; x < w - 5; ++x, ++n) {
        double ma = 0, mb = 0, aa = 0, bb = 0, ab = 0;
        for (int i = -5; i <= 5; ++i) {
          for (int j = -5; j <= 5; ++j) {
            double k = g[i + 5] * g[j + 5], p = a[size_t(((y + i) * w + x + j) * 3 + c)], q = b[size_t(((y + i) * w + x + j) * 3 + c)];
            ma += k * p, mb += k * q, aa += k * p * p, bb += k * q * q, ab += k * p * q;
          }
        }
        aa -= ma * ma, bb -= mb * mb, ab -= ma * mb;
        total += (2 * ma * mb + 6.5025) * (2 * ab + 58.5225) / ((ma * ma + mb * mb + 6.5025) * (aa + bb + 58.5225));
      }
    }
  }
  return total / n;
}

TEST(FrameMetrics, SsimByItsDefinition) {
  auto a = noise(20 * 31 * 3, 1), b = a;
  EXPECT_NEAR(ssim(a.data(), a.data(), 20, 31), 1, 1e-6);
  for (size_t i = 0; i < b.size(); i += 3) b[i] = uint8_t(b[i] / 2);
  // f32 sums of squares up to 65,025: 2^-24 of them against the constants, over differences of the order of 1,000.
  EXPECT_NEAR(ssim(a.data(), b.data(), 20, 31), plain_ssim(a, b, 20, 31), 1e-4);
  auto c = noise(4 * 4 * 3, 3);
  EXPECT_NEAR(ssim(c.data(), c.data(), 4, 4), 1, 1e-6);
}

TEST(CompareClips, MeasuresAndDraws) {
  TempFolder dir;
  auto a = noise(3 * 16 * 32 * 3, 5, 0, 200), b = a;
  for (size_t i = 0; i < 16 * 32 * 3; ++i) b[i] = uint8_t(b[i] + 2);  // the first frame, by two steps
  write_frames(dir.path() + "/a.safetensors", a, 3, 16, 32);
  write_frames(dir.path() + "/b.safetensors", b, 3, 16, 32);
  ComparePictures pictures;
  pictures.difference = dir.path() + "/d.mkv", pictures.side_by_side = dir.path() + "/s.mkv", pictures.wipe = dir.path() + "/w.mkv";
  pictures.amplify = 10;
  auto d = must(compare_clips(dir.path() + "/a.safetensors", dir.path() + "/b.safetensors", pictures));
  ASSERT_EQ(d.frames.size(), 3u);
  EXPECT_NEAR(d.frames[0].psnr, psnr_of(4), 1e-9);
  EXPECT_EQ(d.frames[1].psnr, kEqualPsnr);
  EXPECT_NEAR(d.psnr, psnr_of(4.0 / 3), 1e-9);
  EXPECT_FALSE(d.identical);
  for (auto [name, width] : {std::pair{"d.mkv", 32}, std::pair{"s.mkv", 64}, std::pair{"w.mkv", 32}}) {
    auto source = must(FrameSource::open(dir.path() + "/" + name));
    EXPECT_EQ(source->width(), width) << name;
    std::vector<uint8_t> rgb(size_t(width * 16 * 3));
    int64_t frames = 0;
    while (must(source->next(rgb.data()))) {
      if (std::string(name) == "d.mkv") {
        EXPECT_NEAR(rgb[0], frames == 0 ? 20 : 0, 6) << frames;  // what a codec changes
      }
      ++frames;
    }
    EXPECT_EQ(frames, 3) << name;
  }
}

TEST(CompareCommand, TwoSettingsOfOneJob) {
  TempFolder dir;
  std::vector<std::string> job = {"compare", "-p", "a cat", "--size", "32x32", "--frames", "5", "--steps", "2", "--json", "--progress", "none"};
  auto with = [&](std::vector<std::string> more) {
    std::vector<std::string> args = job;
    args.insert(args.end(), more.begin(), more.end());
    return run(dir, args);
  };
  Finished f = with({"--attn", "dense", "--attn", "window:window=1x1x1", "-o", "out"});
  ASSERT_EQ(f.code, 0) << f.err;
  auto j = nlohmann::json::parse(f.out);
  EXPECT_EQ(j["frames"], 5);
  EXPECT_EQ(j["per_frame"].size(), 5u);
  EXPECT_FALSE(j["identical"].get<bool>());
  EXPECT_EQ(j["b"], "window:window=1x1x1");
  for (const char* name : {"a.mp4", "a.json", "b.mp4", "side_by_side.mp4", "wipe.mp4", "difference.mp4", "compare.json"})
    EXPECT_FALSE(read_all(dir.path() + "/out/" + name).empty()) << name;
  EXPECT_EQ(with({"--attn", "dense", "--attn", "window:window=1x1x1", "-o", "out"}).code, 2);  // it is there already
  EXPECT_EQ(with({"--attn", "dense", "--attn", "window:window=1x1x1", "--min-psnr", "99"}).code, 1);
  Finished same = with({"--attn", "dense", "--attn", "window:window=99x99x99", "--precision", "f32"});
  EXPECT_GE(nlohmann::json::parse(same.out)["psnr"].get<double>(), 60) << same.out;  // every key kept: rounding only
  EXPECT_EQ(with({"--attn", "dense"}).code, 2);
  EXPECT_EQ(with({"--attn", "dense", "--attn", "dense", "--attn", "radial"}).code, 2);
}

TEST(CompareCommand, RefusesWhatCannotBeCompared) {
  TempFolder dir;
  auto bytes = noise(5 * 32 * 32 * 3, 7);
  write_frames(dir.path() + "/a.safetensors", bytes, 5, 32, 32);
  write_frames(dir.path() + "/short.safetensors", bytes, 4, 32, 32);
  write_frames(dir.path() + "/wide.safetensors", bytes, 5, 16, 64);
  Finished same = run(dir, {"compare", "a.safetensors", "a.safetensors", "--json", "--min-psnr", "100"});
  ASSERT_EQ(same.code, 0) << same.err;
  EXPECT_TRUE(nlohmann::json::parse(same.out)["identical"].get<bool>());
  for (auto [name, word] : {std::pair{"short.safetensors", "equally long"}, std::pair{"wide.safetensors", "one size"},
                            std::pair{"none.mp4", "none.mp4"}}) {
    Finished f = run(dir, {"compare", "a.safetensors", name, "-o", "out"});
    EXPECT_EQ(f.code, 2) << name;
    EXPECT_THAT(f.err, HasSubstr(word));
    EXPECT_EQ(read_all(dir.path() + "/out/difference.mp4"), "");
  }
  EXPECT_EQ(run(dir, {"compare", "a.safetensors"}).code, 2);
  EXPECT_EQ(run(dir, {"compare", "a.safetensors", "a.safetensors", "--attn", "dense"}).code, 2);
}

TEST(CompareCommand, DamagedClipsEndInOneLine) {
  TempFolder dir;
  Finished made = run(dir, {"render", "-p", "a cat", "--size", "32x32", "--frames", "5", "--steps", "1", "-o", "a.mp4", "--progress", "none"});
  ASSERT_EQ(made.code, 0) << made.err;
  ASSERT_EQ(run(dir, {"compare", "a.mp4", "a.mp4", "--min-psnr", "100"}).code, 0);
  std::string whole = read_all(dir / "a.mp4");
  for (int i = 0; i < 20; ++i) {
    std::string bent = whole;
    for (int n = 0; n < 12; ++n) bent[size_t(i * 131 + n * 397) % bent.size()] = char(i * 37 + n);
    write_all(dir / "bent.mp4", bent);
    Finished f = run(dir, {"compare", "a.mp4", "bent.mp4"});
    EXPECT_TRUE(f.code == 0 || f.code == 2 || f.code == 1) << "case " << i << " ended with " << f.code;  // never a signal
  }
}

}  // namespace
}  // namespace zt
