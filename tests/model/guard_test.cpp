// A blow-up inside the network ends the job at its step, with step and layer named.
#include <gmock/gmock.h>

#include <atomic>
#include <cmath>
#include <limits>

#include "model/pipeline/guard.h"
#include "model/pipeline/text_to_video.h"
#include "model/policy/policy.h"
#include "tests/support/testing.h"

namespace zt {
namespace {

using ::testing::HasSubstr;
using testing::make_machine;
using testing::must;

// Puts one value into v at a step and layer.
class Spoiler final : public AttentionHook {
 public:
  Spoiler(int64_t step, int64_t layer, float value) : step_(step), layer_(layer), value_(value) {}
  void before(const Site& site, TensorView&, TensorView&, TensorView& v, const ExecContext&) override {
    if (site.step == step_ && site.layer == layer_ && site.kind == AttentionKind::self) convert_floats(&value_, DType::f32, v.data, v.dtype, 1);
  }

 private:
  int64_t step_, layer_;
  float value_;
};

class Guard : public ::testing::TestWithParam<DType> {
 protected:
  Status run(std::vector<AttentionHook*> hooks, int64_t* steps_done = nullptr) {
    auto m = make_machine();
    auto model = must(TextToVideo::open(ZT_SOURCE_DIR "/tests/golden/pipelines/heads2x12", GetParam()));
    Tensor embeds = must(model->embed(must(model->tokenize("a red ball")), m->ctx));
    DenoiseRequest r;
    r.embeds = embeds, r.steps = 6, r.guidance = 1, r.attention = must(make_policy("dense")), r.hooks = std::move(hooks);
    DenoiseHooks on;
    on.on_step = [&](const StepInfo& info) {
      if (steps_done) *steps_done = info.step;
      return ok_status();
    };
    auto latents = model->denoise({32, 32, 5}, r, on, m->ctx);
    return latents.ok() ? ok_status() : latents.status();
  }
};

TEST_P(Guard, HealthyRunsPass) { EXPECT_TRUE(run({}).ok()) << run({}).message(); }

TEST_P(Guard, NamesStepAndLayer) {
  for (float value : {std::nanf(""), std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
    for (int64_t step : {0, 3, 5}) {
      Spoiler spoiler(step, 1, value);
      int64_t done = 0;
      Status s = run({&spoiler}, &done);
      EXPECT_EQ(s.code(), Code::kFailed);
      EXPECT_THAT(s.message(), HasSubstr(fmt::format("step {} of 6", step + 1)));
      EXPECT_THAT(s.message(), HasSubstr("layer 1"));
      EXPECT_EQ(done, step) << "it stops at once";
    }
  }
}

// Sets the cancel flag at a site and counts the self-attentions that still begin.
class Canceller final : public AttentionHook {
 public:
  Canceller(std::atomic<bool>* flag, int64_t at) : flag_(flag), left_(at) {}
  void before(const Site& site, TensorView&, TensorView&, TensorView&, const ExecContext&) override {
    if (site.kind != AttentionKind::self) return;
    if (*flag_) ++after;
    if (left_-- == 0) *flag_ = true;
  }
  int after = 0;

 private:
  std::atomic<bool>* flag_;
  int64_t left_;
};

TEST(Cancel, StopsWithinOneBlockAtAHundredPlaces) {
  auto m = make_machine();
  std::atomic<bool> cancel{false};
  m->ctx.cancel = &cancel;
  auto model = must(TextToVideo::open(ZT_SOURCE_DIR "/tests/golden/pipelines/heads2x12", DType::f32));
  Tensor embeds = must(model->embed(must(model->tokenize("a red ball")), m->ctx));
  for (int64_t at = 0; at < 100; ++at) {
    cancel = false;
    Canceller hook(&cancel, at);
    DenoiseRequest r;
    r.embeds = embeds, r.negative_embeds = embeds, r.steps = 50, r.attention = must(make_policy("dense")), r.hooks = {&hook};
    auto latents = model->denoise({32, 32, 5}, r, {}, m->ctx);
    ASSERT_FALSE(latents.ok());
    EXPECT_EQ(latents.status().code(), Code::kCancelled);
    EXPECT_EQ(hook.after, 0) << at;
  }
}

INSTANTIATE_TEST_SUITE_P(Types, Guard, ::testing::Values(DType::f32, DType::bf16));

TEST(Ill, Tensors) {
  std::vector<float> x(1000);
  for (size_t i = 0; i < x.size(); ++i) x[i] = std::sin(float(i));
  TensorView v(x.data(), DType::f32, {1000});
  EXPECT_EQ(ill(v), "");
  x[7] = NAN;
  EXPECT_THAT(ill(v), HasSubstr("element 7"));
  x.assign(1000, 0.f);
  EXPECT_THAT(ill(v), HasSubstr("collapsed"));
  x.assign(1000, 3.f);
  x[1] = std::nextafterf(3.f, 4.f);
  EXPECT_THAT(ill(v), HasSubstr("collapsed"));
  for (size_t i = 0; i < x.size(); ++i) x[i] = 3 + 1e-3f * float(i % 2);
  EXPECT_EQ(ill(v), "") << "a thousandth of the mean is a signal";
}

}  // namespace
}  // namespace zt
