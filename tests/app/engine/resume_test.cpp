// Stopped jobs go on where they stopped, to the last bit, and a finished sampling is never lost.
#include <gmock/gmock.h>

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "app/engine/checkpoint.h"
#include "tests/app/engine/tiny_render.h"

namespace zt {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace zt::testing;

class Resume : public ::testing::Test {
 protected:
  JobSpec job(const std::string& name, int64_t steps) {
    JobSpec s = tiny_job(dir / (name + ".mp4"), steps);
    s.save_latents = dir / (name + ".safetensors");
    return s;
  }
  TempFolder dir;
  std::shared_ptr<ModelHost> host = tiny_host();
  std::unique_ptr<JobRunner> runner = make_render_runner(host);
};

// The promise of the issue: 20 of 20.
TEST_F(Resume, StoppedAfterEachOfTwentySteps) {
  JobSpec whole = job("whole", 20);
  ASSERT_EQ(run_tiny(*runner, whole).result.code, ExitCode::done);
  const std::string wanted = latents_of(whole.save_latents), clip = read_all(whole.output);
  for (int64_t k = 1; k <= 20; ++k) {
    JobSpec s = job("part", 20);
    TinyRun stopped = run_tiny(*runner, s, {JobState::denoising, k});
    ASSERT_EQ(stopped.result.code, ExitCode::interrupted) << k << ": " << stopped.result.error;
    EXPECT_THAT(stopped.result.error, HasSubstr("--resume")) << k;
    EXPECT_TRUE(std::filesystem::exists(dir / ".part.checkpoint")) << k;
    EXPECT_FALSE(std::filesystem::exists(s.output)) << k;
    s.resume = true;
    TinyRun resumed = run_tiny(*make_render_runner(tiny_host()), s);  // another process would know no more
    ASSERT_EQ(resumed.result.code, ExitCode::done) << k << ": " << resumed.result.error;
    EXPECT_TRUE(resumed.said(fmt::format("after step {} of 20", k))) << k;
    EXPECT_EQ(latents_of(s.save_latents), wanted) << k;
    EXPECT_EQ(read_all(s.output), clip) << k;
    EXPECT_FALSE(std::filesystem::exists(dir / ".part.checkpoint")) << k;
    for (const char* name : {"part.mp4", "part.json", "part.safetensors"}) unlink((dir / name).c_str());
  }
}

class ResumeEverySolver : public Resume, public ::testing::WithParamInterface<std::tuple<const char*, const char*>> {};

TEST_P(ResumeEverySolver, AndGenerator) {
  auto spec = [&](const std::string& name) {
    JobSpec s = job(name, 5);
    s.sampler = std::get<0>(GetParam()), s.rng = std::get<1>(GetParam()), s.attn = "radial:dense_steps=2";
    return s;
  };
  JobSpec whole = spec("whole");
  ASSERT_EQ(run_tiny(*runner, whole).result.code, ExitCode::done);
  for (int64_t k = 1; k < 5; ++k) {
    JobSpec s = spec(fmt::format("part{}", k));
    ASSERT_EQ(run_tiny(*runner, s, {JobState::denoising, k}).result.code, ExitCode::interrupted);
    s.resume = true;
    ASSERT_EQ(run_tiny(*runner, s).result.code, ExitCode::done);
    EXPECT_EQ(latents_of(s.save_latents), latents_of(whole.save_latents)) << k;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ResumeEverySolver,
                         ::testing::Combine(::testing::Values("unipc", "euler", "dpm++", "lcm"),
                                            ::testing::Values("philox", "torch-cpu", "torch-cuda")));

// Without a signal: what is on disk is the last multiple of the interval, here read at the moment step 7 ends.
TEST_F(Resume, CheckpointEveryFewSteps) {
  JobSpec s = job("a", 9);
  s.checkpoint_every = 3;
  std::atomic<bool> cancel{false};
  JobControl control;
  control.cancel = &cancel;
  control.note = [](std::string) {};
  std::vector<std::string> seen;
  control.progress = [&](const Progress& p) {
    auto f = SafetensorsFile::open(dir / ".a.checkpoint");
    if (p.state == JobState::denoising) seen.push_back(f.ok() ? f->metadata.at("step") : "-");
  };
  ASSERT_EQ(runner->run(s, control).code, ExitCode::done);
  // Progress comes before the checkpoint of its own step.
  EXPECT_THAT(seen, ElementsAre("-", "-", "-", "-", "3", "3", "3", "6", "6", "6"));
  EXPECT_THAT(dir.entries(), ElementsAre("a.json", "a.mp4", "a.safetensors"));
}

TEST_F(Resume, OtherSettingsStartAnew) {
  JobSpec s = job("a", 4);
  ASSERT_EQ(run_tiny(*runner, s, {JobState::denoising, 2}).result.code, ExitCode::interrupted);
  s.resume = true, s.seed = 7;
  TinyRun other = run_tiny(*runner, s);
  EXPECT_EQ(other.result.code, ExitCode::done);
  EXPECT_TRUE(other.said("settings_hash")) << other.notes.size();
  EXPECT_TRUE(other.said("from the beginning"));
  JobSpec whole = job("whole", 4);
  whole.seed = 7;
  ASSERT_EQ(run_tiny(*runner, whole).result.code, ExitCode::done);
  EXPECT_EQ(latents_of(s.save_latents), latents_of(whole.save_latents));
}

// What a report says of a step does not depend on the job having been stopped; times do.
TEST_F(Resume, ReportHasTheStepsBefore) {
  auto spec = [&](const std::string& name) {
    JobSpec s = job(name, 5);
    s.size = {64, 64}, s.attn = "window", s.report = dir / (name + ".report");
    return s;
  };
  auto entries = [&](const JobSpec& s) {
    nlohmann::json report = nlohmann::json::parse(read_all(s.report));
    for (auto& e : report["entries"]) e.erase("time_ms"), e.erase("plan_ms");
    return report["entries"];
  };
  JobSpec whole = spec("whole");
  ASSERT_EQ(run_tiny(*runner, whole).result.code, ExitCode::done);
  const auto wanted = entries(whole);
  ASSERT_FALSE(wanted.empty());
  EXPECT_NE(wanted.front()["recall"], wanted.back()["recall"]) << "else a report of the wrong steps would pass";
  for (StopAt at : {StopAt{JobState::denoising, 1}, StopAt{JobState::denoising, 4}, StopAt{JobState::decoding, 1}}) {
    JobSpec s = spec(fmt::format("part{}{}", int(at.state), at.step));
    ASSERT_EQ(run_tiny(*runner, s, at).result.code, ExitCode::interrupted);
    s.resume = true;
    TinyRun resumed = run_tiny(*runner, s);
    ASSERT_EQ(resumed.result.code, ExitCode::done) << resumed.result.error;
    EXPECT_EQ(entries(s), wanted);
  }
  JobSpec without = spec("without");
  without.report.clear();
  ASSERT_EQ(run_tiny(*runner, without, {JobState::denoising, 2}).result.code, ExitCode::interrupted);
  without = spec("without"), without.resume = true;
  TinyRun late = run_tiny(*runner, without);
  ASSERT_EQ(late.result.code, ExitCode::done) << late.result.error;
  EXPECT_TRUE(late.said("the first 2 steps"));
  EXPECT_EQ(entries(without).size() * 5, wanted.size() * 3);
}

TEST_F(Resume, FailedDecodeKeepsTheSampling) {
  JobSpec whole = job("whole", 3), s = job("a", 3);
  s.save_latents.clear();
  ASSERT_EQ(run_tiny(*runner, whole).result.code, ExitCode::done);
  TinyRun stopped = run_tiny(*runner, s, {JobState::decoding, 1});
  EXPECT_EQ(stopped.result.code, ExitCode::interrupted);
  EXPECT_THAT(stopped.result.error, HasSubstr("--resume decodes them"));
  s.resume = true;
  TinyRun resumed = run_tiny(*runner, s);
  ASSERT_EQ(resumed.result.code, ExitCode::done);
  EXPECT_EQ(read_all(s.output), read_all(whole.output));
  EXPECT_LT(resumed.result.seconds["denoising"], resumed.result.seconds["total"]);
  EXPECT_TRUE(resumed.said("after step 3 of 3"));
}

}  // namespace
}  // namespace zt
