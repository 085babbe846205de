// The real program on the embedded model at a tiny size: files, records, repeatability, interruption.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <thread>

#include "app/media/clip_reader.h"
#include "app/session/job_text.h"
#include "model/io/safetensors.h"
#include "tests/app/headless/program.h"

namespace zt {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace zt::testing;
using nlohmann::json;

std::vector<std::string> tiny(std::vector<std::string> more) {
  std::vector<std::string> args = {"render", "-p",      "a red ball", "--size",    "96x96", "--frames",
                                   "5",      "--steps", "2",          "--threads", "1"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

SafetensorsFile tensors(const std::string& path) {
  auto f = SafetensorsFile::open(path);
  EXPECT_TRUE(f.ok()) << f.status().message();
  return f.ok() ? *f : SafetensorsFile();
}

std::string bytes_of(const SafetensorsFile& f, const std::string& name) {
  const TensorView& t = f.tensors.at(name);
  return {static_cast<const char*>(t.data), t.bytes()};
}

TEST(Render, MakesEveryFileAndSaysSo) {
  TempFolder dir;
  Finished f = run(dir, tiny({"-o", "a.mp4", "--save-latents", "l.safetensors", "--save-frames", "f.safetensors", "--report",
                              "r.json", "--json"}));
  ASSERT_EQ(f.code, 0) << f.err;
  EXPECT_THAT(dir.entries(), ElementsAre("a.json", "a.mp4", "f.safetensors", "l.safetensors", "r.json"));
  EXPECT_THAT(f.err, HasSubstr("memory:"));

  json result = json::parse(f.out);
  EXPECT_EQ(result["phase"], "done");
  EXPECT_EQ(result["exit_code"], 0);
  EXPECT_EQ(result["output"], "a.mp4");
  EXPECT_EQ(result["files"], json({"l.safetensors", "r.json", "f.safetensors", "a.json", "a.mp4"}));

  auto reader = ClipReader::open(dir / "a.mp4");
  ASSERT_TRUE(reader.ok()) << reader.status().message();
  EXPECT_EQ((*reader)->info().width, 96);
  EXPECT_EQ((*reader)->info().fps, 16);
  EXPECT_EQ((*reader)->info().matrix, "bt709");
  JobSpec from_comment, from_side;
  EXPECT_EQ(read_settings((*reader)->info().comment, from_comment), "");
  EXPECT_EQ(read_settings(read_all(dir / "a.json"), from_side), "");
  EXPECT_EQ(from_comment, from_side);
  EXPECT_EQ(from_side.prompt, "a red ball");
  EXPECT_EQ(from_side.steps, 2);
  EXPECT_EQ(settings_hash(from_side), result["settings_hash"]);

  // The clip shows the raw frames: their mean difference is that of a good encoder.
  SafetensorsFile frames = tensors(dir / "f.safetensors");
  ASSERT_EQ(frames.tensors.at("frames").shape, (Shape{5, 96, 96, 3}));
  const auto* raw = static_cast<const uint8_t*>(frames.tensors.at("frames").data);
  std::vector<uint8_t> rgb(96 * 96 * 3);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(*(*reader)->next(rgb.data()));
    double sum = 0;
    for (size_t k = 0; k < rgb.size(); ++k) sum += std::abs(int(rgb[k]) - int(raw[size_t(i) * rgb.size() + k]));
    EXPECT_LT(sum / double(rgb.size()), 6) << "frame " << i;
  }
  EXPECT_FALSE(*(*reader)->next(rgb.data()));
  EXPECT_EQ(tensors(dir / "l.safetensors").tensors.at("latents").shape.rank(), 4);

  json report = json::parse(read_all(dir / "r.json"));
  ASSERT_FALSE(report["entries"].empty());
  for (const char* key :
       {"step", "layer", "head", "branch", "policy", "plan", "density", "recall", "recall_worst", "rel_l2", "time_ms", "plan_ms"})
    EXPECT_TRUE(report["entries"][0].contains(key)) << key;
}

TEST(Render, SameSeedSameBytesForEveryThreadCount) {
  TempFolder dir;
  ASSERT_EQ(run(dir, tiny({"-o", "a.mp4", "--save-latents", "a.safetensors"})).code, 0);
  ASSERT_EQ(run(dir, tiny({"-o", "b.mp4", "--threads", "2", "--save-latents", "b.safetensors"})).code, 0);
  ASSERT_EQ(run(dir, tiny({"-o", "c.mp4", "-s", "43", "--save-latents", "c.safetensors"})).code, 0);
  EXPECT_EQ(read_all(dir / "a.mp4"), read_all(dir / "b.mp4"));
  EXPECT_EQ(read_all(dir / "a.safetensors"), read_all(dir / "b.safetensors"));
  EXPECT_NE(bytes_of(tensors(dir / "a.safetensors"), "latents"), bytes_of(tensors(dir / "c.safetensors"), "latents"));
}

TEST(Render, StagesByHandGiveTheSameClip) {
  TempFolder dir;
  std::vector<std::string> fast = {"--threads", "1"};
  ASSERT_EQ(run(dir, tiny({"-o", "a.mp4", "--save-latents", "l.safetensors", "--save-frames", "f.safetensors"})).code, 0);
  Finished e = run(dir, {"embed", "-p", "a red ball", "-o", "e.safetensors", "--json"});
  ASSERT_EQ(e.code, 0) << e.err;
  Finished n = run(dir, {"embed", "-p", "", "-o", "n.safetensors"});
  ASSERT_EQ(n.code, 0) << n.err;
  EXPECT_EQ(n.out, "n.safetensors\n");
  const Shape embeds = tensors(dir / "e.safetensors").tensors.at("prompt_embeds").shape;
  EXPECT_EQ(embeds[0], 512);
  EXPECT_GT(json::parse(e.out)["tokens"], 1);
  ASSERT_EQ(run(dir, tiny({"-o", "b.mp4", "--text-embeds", "e.safetensors", "--negative-embeds", "n.safetensors",
                           "--save-latents", "l2.safetensors"}))
                .code,
            0);
  EXPECT_EQ(bytes_of(tensors(dir / "l.safetensors"), "latents"), bytes_of(tensors(dir / "l2.safetensors"), "latents"));
  Finished d = run(dir, {"decode", "l.safetensors", "-o", "d.mkv", "--codec", "ffv1", "--save-frames", "df.safetensors"});
  ASSERT_EQ(d.code, 0) << d.err;
  EXPECT_EQ(bytes_of(tensors(dir / "f.safetensors"), "frames"), bytes_of(tensors(dir / "df.safetensors"), "frames"));
  JobSpec inherited;
  EXPECT_EQ(read_settings(read_all(dir / "d.json"), inherited), "");
  EXPECT_EQ(inherited.prompt, "a red ball") << "what made the latents is stored with them";
  Finished c = run(dir, {"encode", "d.mkv", "-o", "back.safetensors"});
  ASSERT_EQ(c.code, 0) << c.err;
  SafetensorsFile back = tensors(dir / "back.safetensors"), first = tensors(dir / "l.safetensors");
  EXPECT_EQ(back.tensors.at("latents").shape, first.tensors.at("latents").shape);
}

TEST(Render, ReportMeasuresAndChangesNothing) {
  TempFolder dir;
  const char* spec = "window:window=1x3x3,tile=1x2x2,dense_steps=1";
  ASSERT_EQ(run(dir, tiny({"--attn", spec, "-o", "a.mp4", "--save-frames", "a.safetensors"})).code, 0);
  Finished f = run(dir, tiny({"--attn", spec, "-o", "b.mp4", "--save-frames", "b.safetensors", "--report", "r.json"}));
  ASSERT_EQ(f.code, 0) << f.err;
  EXPECT_EQ(bytes_of(tensors(dir / "a.safetensors"), "frames"), bytes_of(tensors(dir / "b.safetensors"), "frames"));
  json report = json::parse(read_all(dir / "r.json"));
  // Two steps, two branches; layers and heads are the model's.
  const json& entries = report["entries"];
  std::set<std::array<int, 4>> seen;
  double recall = 0, density = 0, worst = 1;
  for (const json& e : entries) {
    seen.insert({e["step"], e["layer"], e["head"], e["branch"] == "cond"});
    EXPECT_EQ(e["policy"], "window");
    EXPECT_EQ(e["plan"], spec);
    double r = e["recall"];
    if (e["step"] == 0) {
      EXPECT_EQ(e["density"], 1);
      EXPECT_EQ(r, 1);
      EXPECT_EQ(e["rel_l2"], 0);
    } else {
      EXPECT_LT(e["density"], 1);
      EXPECT_GT(r, 0);
      EXPECT_LT(r, 1);
      EXPECT_LE(e["recall_worst"], r);
      EXPECT_GT(e["rel_l2"], 0);
    }
    recall += r / double(entries.size()), density += e["density"].get<double>() / double(entries.size());
    worst = std::min(worst, e["recall_worst"].get<double>());
  }
  EXPECT_EQ(seen.size(), entries.size());
  EXPECT_EQ(entries.size() % 4, 0u);
  const json& summary = report["summary"];
  EXPECT_NEAR(summary["recall"].get<double>(), recall, 1e-12 * double(entries.size()));
  EXPECT_NEAR(summary["density"].get<double>(), density, 1e-12 * double(entries.size()));
  EXPECT_EQ(summary["recall_worst"], worst);
  for (const char* key : {"attention_s", "planning_s", "measuring_s", "seconds_per_step"}) EXPECT_GT(summary[key], 0) << key;
}

TEST(Render, MinRecallIsKeptOrTheJobFails) {
  TempFolder dir;
  const char* spec = "window:window=1x3x3,tile=1x2x2,dense_steps=1";
  Finished f = run(dir, tiny({"--attn", spec, "-o", "a.mp4", "--min-recall", "0.999"}));
  EXPECT_EQ(f.code, 1);
  EXPECT_THAT(f.err, HasSubstr("min_recall: step 2 of 2"));
  for (const char* word : {"layer", "head", "0.999", "dense_steps", "--attn dense"}) EXPECT_THAT(f.err, HasSubstr(word));
  EXPECT_TRUE(dir.entries().empty());
  EXPECT_EQ(run(dir, tiny({"--attn", spec, "-o", "a.mp4", "--min-recall", "0.01"})).code, 0);
  EXPECT_EQ(run(dir, tiny({"-o", "b.mp4", "--min-recall", "1"})).code, 0) << "dense attention keeps everything";
}

TEST(Render, InitLatentsReplaceTheNoise) {
  TempFolder dir;
  ASSERT_EQ(run(dir, tiny({"-o", "a.mp4", "--save-latents", "l.safetensors"})).code, 0);
  ASSERT_EQ(
      run(dir, tiny({"-o", "b.mp4", "--init-latents", "l.safetensors", "--seed", "1", "--save-latents", "b.safetensors"})).code,
      0);
  ASSERT_EQ(
      run(dir, tiny({"-o", "c.mp4", "--init-latents", "l.safetensors", "--seed", "2", "--save-latents", "c.safetensors"})).code,
      0);
  EXPECT_EQ(bytes_of(tensors(dir / "b.safetensors"), "latents"), bytes_of(tensors(dir / "c.safetensors"), "latents"));
  Finished f = run(dir, tiny({"-o", "d.mp4", "--frames", "9", "--init-latents", "l.safetensors"}));
  EXPECT_EQ(f.code, 2);
  EXPECT_THAT(f.err, HasSubstr("init_latents"));
}

TEST(Render, ProgressAsJsonLines) {
  TempFolder dir;
  Finished f = run(dir, tiny({"-o", "a.mp4", "--progress", "jsonl"}));
  ASSERT_EQ(f.code, 0) << f.err;
  std::istringstream lines(f.out);
  std::vector<json> events;
  for (std::string line; std::getline(lines, line);) events.push_back(json::parse(line));
  ASSERT_GT(events.size(), 5u);
  double t = 0;
  bool denoised = false;
  for (size_t i = 0; i + 1 < events.size(); ++i) {
    const json& e = events[i];
    ASSERT_EQ(e.size(), 8u) << e;
    for (const char* key : {"t", "job", "step", "steps", "mem_mb", "density"}) EXPECT_TRUE(e.at(key).is_number()) << key;
    EXPECT_TRUE(e.at("eta_s").is_number() || e.at("eta_s").is_null());
    EXPECT_GE(e["t"], t);
    t = e["t"];
    denoised |= e["phase"] == "denoising" && e["step"] == 2 && e["steps"] == 2;
  }
  EXPECT_TRUE(denoised);
  EXPECT_EQ(events.back()["phase"], "done");
  EXPECT_EQ(events.back()["output"], "a.mp4");
}

TEST(Render, MemoryLimitRefusesBeforeTheFirstStep) {
  TempFolder dir;
  Finished f = run(dir, tiny({"-o", "a.mp4", "--max-memory", "0.001", "--progress", "jsonl"}));
  EXPECT_EQ(f.code, 4);
  EXPECT_THAT(f.err, HasSubstr("--max-memory"));
  EXPECT_EQ(f.out.find("denoising"), std::string::npos);
  EXPECT_TRUE(dir.entries().empty());
  f = run(dir, {"render", "-p", "x", "--size", "8192x8192", "--frames", "10001", "-o", "a.mp4"});
  EXPECT_EQ(f.code, 4);
  EXPECT_TRUE(dir.entries().empty());
}

TEST(Render, LongPromptIsCutAndSaid) {
  TempFolder dir;
  std::string prompt;
  while (prompt.size() < 100000) prompt += "a red ball ";
  Finished f = run(dir, {"render", "-p", prompt, "-o", "a.mp4", "--dry-run"});
  EXPECT_EQ(f.code, 0);
  EXPECT_THAT(f.err, HasSubstr("cut to its first 512 tokens"));
  EXPECT_TRUE(dir.entries().empty());
}

// A copy of the embedded model with links to its files, one of which a test then damages.
class DamagedModel : public ::testing::Test {
 protected:
  void SetUp() override {
    namespace fs = std::filesystem;
    const fs::path source = ZT_SOURCE_DIR "/assets/mini", copy = dir / "m";
    fs::create_directory(copy);
    for (const auto& e : fs::recursive_directory_iterator(source)) {
      fs::path to = copy / e.path().lexically_relative(source);
      e.is_directory() ? (void)fs::create_directory(to) : fs::create_symlink(e.path(), to);
    }
  }
  void expect_refused(const std::string& word) {
    for (std::vector<std::string> args :
         {tiny({"--model", "m", "-o", "a.mp4"}), std::vector<std::string>{"models", "verify", "m"}}) {
      Finished f = run(dir, args);
      EXPECT_EQ(f.code, 3) << f.err;
      EXPECT_THAT(f.err, HasSubstr(word));
      EXPECT_THAT(dir.entries(), ElementsAre("m"));
    }
  }
  std::string replace(const std::string& name) {  // with a file of its own; its old bytes
    std::string bytes = read_all(dir / name);
    std::filesystem::remove(dir / name);
    return bytes;
  }
  TempFolder dir;
  const std::string text = "m/text_encoder/model.safetensors", vae = "m/vae/diffusion_pytorch_model.safetensors";
};

TEST_F(DamagedModel, HalfThere) {
  replace(vae);
  expect_refused("vae");
}

TEST_F(DamagedModel, Truncated) {
  std::string bytes = replace(text);
  write_all(dir / text, bytes.substr(0, bytes.size() - 1));
  expect_refused("model.safetensors");
}

TEST_F(DamagedModel, NotANumber) {
  std::string bytes = replace(text);
  // Every type's all-ones pattern is a NaN.
  std::memset(bytes.data() + bytes.size() - 4, 0xff, 4);
  write_all(dir / text, bytes);
  expect_refused("finite");
}

TEST_F(DamagedModel, NoIndex) {
  replace("m/model_index.json");
  expect_refused("model_index.json");
}

// Stopped at any time: code 130 (or the clip was done), nothing partial; at most the checkpoint stays. The seed is fixed so
// that a failure repeats.
TEST(Render, InterruptedAtRandomTimesLeavesNothingPartial) {
  TempFolder dir;
  std::mt19937 random(11);
  for (int i = 0; i < 8; ++i) {
    std::string name = fmt::format("a{}.mp4", i);
    Program p(dir, tiny({"-o", name, "--steps", "12"}));
    std::this_thread::sleep_for(std::chrono::milliseconds(20 + random() % 900));
    const double used = p.cpu_s();
    const int signal = std::array{SIGINT, SIGTERM, SIGUSR1}[size_t(i) % 3];
    p.signal(signal);
    Finished f = p.wait();
    EXPECT_LT(f.cpu_s - used, 2) << f.err;
    if (f.code == 0) {
      std::filesystem::remove(dir / name);
      std::filesystem::remove(dir / fmt::format("a{}.json", i));
    } else if (f.code != 128 + signal) {  // before main, the signal itself ends it
      EXPECT_EQ(f.code, 130) << f.err;
    }
    std::filesystem::remove(dir / fmt::format(".a{}.checkpoint", i));
    EXPECT_TRUE(dir.entries().empty());
  }
}

TEST(Render, KilledRunIsCleanedUpByTheNext) {
  TempFolder dir;
  Program p(dir, tiny({"-o", "a.mp4", "--steps", "50"}));
  for (int i = 0; i < 500 && p.said().find("denoising") == std::string::npos; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  p.signal(SIGKILL);
  p.wait();
  for (const std::string& name : dir.entries()) EXPECT_TRUE(name.starts_with(".")) << name;
  EXPECT_FALSE(dir.entries().empty());
  Finished f = run(dir, tiny({"-o", "b.gif"}));
  EXPECT_EQ(f.code, 0) << f.err;
  EXPECT_THAT(dir.entries(), ElementsAre("b.gif", "b.json"));
}

TEST(Render, ImagesAndLossless) {
  TempFolder dir;
  ASSERT_EQ(run(dir, tiny({"-o", "shots/", "--save-frames", "f.safetensors", "--steps", "1", "--cfg-scale", "1"})).code, 0);
  EXPECT_THAT(dir.entries(), ElementsAre("f.safetensors", "shots", "shots.json"));
  auto reader = ClipReader::open(dir / "shots/%04d.png");
  ASSERT_TRUE(reader.ok()) << reader.status().message();
  std::string raw = bytes_of(tensors(dir / "f.safetensors"), "frames");
  std::vector<uint8_t> rgb(96 * 96 * 3);
  for (size_t i = 0; i < 5; ++i) {
    ASSERT_TRUE(*(*reader)->next(rgb.data()));
    EXPECT_EQ(std::memcmp(rgb.data(), raw.data() + i * rgb.size(), rgb.size()), 0);
  }
  Finished again = run(dir, tiny({"-o", "shots/", "--steps", "1", "--cfg-scale", "1"}));
  EXPECT_EQ(again.code, 2);
  EXPECT_THAT(again.err, HasSubstr("--overwrite"));
}

}  // namespace
}  // namespace zt
