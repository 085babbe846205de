// The whole model against the public reference: every folder of tests/golden/pipelines (pipeline_golden.py), and every
// folder of $ZT_PARITY_DIR when that is set (cases made with --extra). Bounds are those of the project's contract.
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "model/io/weights.h"
#include "model/pipeline/text_to_video.h"
#include "model/policy/policy.h"
#include "tests/support/testing.h"

namespace zt {
namespace {

using testing::make_machine;
using testing::must;
using testing::nmse;
using testing::to_floats;

std::vector<std::string> case_folders() {
  std::vector<std::string> folders;
  auto add = [&](const std::filesystem::path& root) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(root, error)) {
      if (std::filesystem::exists(entry.path() / "case.json")) folders.push_back(entry.path().string());
    }
    EXPECT_FALSE(error) << root << ": " << error.message();
  };
  add(std::string(ZT_SOURCE_DIR) + "/tests/golden/pipelines");
  if (const char* extra = std::getenv("ZT_PARITY_DIR")) add(extra);
  std::sort(folders.begin(), folders.end());
  return folders;
}

// sqrt(sum (a - b)^2 / sum b^2).
double relative_error(const std::vector<float>& a, const std::vector<float>& b) { return std::sqrt(nmse(a, b)); }

class Parity : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    std::ifstream file(GetParam() + "/case.json");
    settings_ = nlohmann::json::parse(file);
    expected_ = must(SafetensorsFile::open(GetParam() + "/expected.safetensors"));
    clip_ = {settings_["width"], settings_["height"], settings_["frames"]};
  }

  TensorView expected(const std::string& name) const { return expected_.tensors.at(name); }
  bool guided() const { return settings_["guidance"].get<double>() > 1; }
  std::unique_ptr<TextToVideo> open(DType compute) const { return must(TextToVideo::open(GetParam(), compute)); }

  std::vector<float> velocity(const testing::Machine& m, DType compute) const {
    ModelFolder model = must(open_model_folder(GetParam()));
    WeightStore store = must(WeightStore::open(model.transformer));
    auto transformer = must(Transformer::load(model.transformer_config, store, compute, m.ctx));
    TensorView x = expected("init_latents");
    Status s = transformer->prepare(x.shape, m.ctx);  // before the text: its plan is as long as the clip
    EXPECT_TRUE(s.ok()) << s.message();
    auto text = must(transformer->encode_text(expected("prompt_embeds"), model.max_text_tokens, m.ctx));
    Tensor v = must(m.ctx.arena->make(DType::f32, x.shape));
    AttentionDriver attention(must(make_policy("dense")));
    Conditioning cond;
    cond.text = text.get();
    cond.frame_timesteps = {double(expected("velocity_t").as<float>()[0])};
    s = transformer->forward(x, cond, attention, v, m.ctx);
    EXPECT_TRUE(s.ok()) << s.message();
    return to_floats(v);
  }

  struct Clip {
    std::vector<float> embeds, negative_embeds, latents, frames;
  };
  // Prompt to frames as the program does it; frames [F, H, W, 3] in [0, 1].
  Clip render(const testing::Machine& m, DType compute) const {
    auto model = open(compute);
    DenoiseRequest r;
    auto embed = [&](const char* key) {
      return must(model->embed(must(model->tokenize(settings_[key].get<std::string>())), m.ctx));
    };
    Tensor embeds = embed("prompt"), negative;
    if (guided()) negative = embed("negative");
    r.embeds = embeds, r.negative_embeds = negative;
    r.steps = settings_["steps"];
    r.guidance = settings_["guidance"];
    r.sampler = *sampler_from_name(settings_["sampler"].get<std::string>());
    r.init_latents = expected("init_latents");
    r.attention = must(make_policy("dense"));
    EXPECT_EQ(model->model().scheduler.flow_shift, settings_["flow_shift"].get<double>());
    Tensor latents = must(model->denoise(clip_, r, {}, m.ctx));
    Clip out{to_floats(embeds), guided() ? to_floats(negative) : std::vector<float>(), to_floats(latents), {}};
    FrameSink keep = [&](const TensorView& frame) {
      for (float v : to_floats(frame)) out.frames.push_back(std::clamp(v / 2 + 0.5f, 0.f, 1.f));
      return ok_status();
    };
    Status s = model->decode(latents, false, keep, m.ctx);
    EXPECT_TRUE(s.ok()) << s.message();
    return out;
  }

  nlohmann::json settings_;
  SafetensorsFile expected_;
  ClipShape clip_;
};

TEST_P(Parity, Float32MatchesTheReference) {
  auto m = make_machine();
  Clip clip = render(*m, DType::f32);
  EXPECT_LE(relative_error(clip.embeds, to_floats(expected("prompt_embeds"))), 1e-5);
  if (guided()) {
    EXPECT_LE(relative_error(clip.negative_embeds, to_floats(expected("negative_embeds"))), 1e-5);
  }
  double v = nmse(velocity(*m, DType::f32), to_floats(expected("velocity"))),
         x = nmse(clip.latents, to_floats(expected("latents")));
  EXPECT_LE(v, 1e-8);
  EXPECT_LE(x, 1e-6);
  auto want = to_floats(expected("frames"));
  ASSERT_EQ(clip.frames.size(), want.size());
  size_t far = 0;
  for (size_t i = 0; i < want.size(); ++i) far += !(std::fabs(clip.frames[i] - want[i]) <= 1.f / 255);
  EXPECT_LE(double(far), 0.001 * double(want.size()));
  RecordProperty("embeds_error", fmt::format("{:.2g}", relative_error(clip.embeds, to_floats(expected("prompt_embeds")))));
  RecordProperty("velocity_nmse", fmt::format("{:.2g}", v));
  RecordProperty("latents_nmse", fmt::format("{:.2g}", x));
  RecordProperty("pixels_off", fmt::format("{:.2g}", double(far) / double(want.size())));
}

TEST_P(Parity, EncoderMatchesTheReference) {
  auto m = make_machine();
  TensorView clip = expected("clip");
  const uint8_t* bytes = clip.as<uint8_t>();
  Tensor frame = must(m->arena.make(DType::f32, {clip.dim(1), clip.dim(2), 3}));
  int64_t n = 0, size = frame.view().count();
  auto next = [&]() -> Result<TensorView> {
    for (int64_t i = 0; i < size; ++i) frame.as<float>()[i] = float(bytes[n * size + i]) / 127.5f - 1;
    ++n;
    return frame.view();
  };
  Tensor latents = must(open(DType::f32)->encode({clip.dim(2), clip.dim(1), clip.dim(0)}, next, m->ctx));
  double error = nmse(to_floats(latents), to_floats(expected("encoded")));
  EXPECT_LE(error, 1e-6);
  RecordProperty("encoded_nmse", fmt::format("{:.2g}", error));
}

TEST_P(Parity, Bfloat16StaysCloseToFloat32) {
  auto m = make_machine();
  double error = nmse(velocity(*m, DType::bf16), velocity(*m, DType::f32));
  EXPECT_LE(error, 5e-4);
  RecordProperty("velocity_nmse", fmt::format("{:.2g}", error));
}

TEST_P(Parity, SameBitsForOneAndTwoThreads) {
  for (DType compute : {DType::f32, DType::bf16}) {
    auto one = make_machine(detect_isa(), 1), two = make_machine(detect_isa(), 2);
    Clip a = render(*one, compute), b = render(*two, compute), again = render(*two, compute);
    EXPECT_EQ(a.embeds, b.embeds);
    EXPECT_EQ(a.latents, b.latents);
    EXPECT_EQ(a.frames, b.frames);
    EXPECT_EQ(b.latents, again.latents);
    EXPECT_EQ(b.frames, again.frames);
  }
}

INSTANTIATE_TEST_SUITE_P(Pipelines, Parity, ::testing::ValuesIn(case_folders()), [](const auto& test) {
  std::string name = std::filesystem::path(test.param).filename().string();
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return name;
});

}  // namespace
}  // namespace zt
