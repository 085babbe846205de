// --max-vram from the job to the clip: whole renders by the engine, with host execution as the GPU.
#include <gmock/gmock.h>
#include <malloc.h>

#include "tests/app/engine/tiny_render.h"
#include "tests/cuda/host/host_gpu.h"
#include "tests/support/testing.h"

namespace zt::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// One at a time: each is the host execution of its thread.
struct OnGpu {
  explicit OnGpu(const TempFolder& f) : dir(f) {}
  const TempFolder& dir;
  std::shared_ptr<ModelHost> host = tiny_host();
  HostGpu& gpu = static_cast<HostGpu&>(*must(host->machine().gpu()));

  JobSpec job(const std::string& name, double vram_mib = 0) const {
    JobSpec s = tiny_job(dir / (name + ".mp4"), 2);
    s.frames = 1, s.device = "cuda", s.precision = "f32", s.cfg_scale = 1;
    s.max_vram = vram_mib / 1024, s.save_latents = dir / (name + ".safetensors");
    return s;
  }
  TinyRun run(const JobSpec& s) const { return run_tiny(*make_render_runner(host), s); }
  struct Plan {
    Status status;
    JobResult result;
    std::vector<std::string> notes;
  };
  Plan plan(const JobSpec& s) const {
    Plan p;
    JobControl control;
    control.note = [&](std::string line) { p.notes.push_back(std::move(line)); };
    p.status = dry_run(*host, s, control, p.result).status();
    return p;
  }
};

// The embedded model in f32: 46 MiB of blocks.
constexpr double kLimit = 24;

TEST(StreamedRender, HasTheLatentsOfAResidentOneEvenAfterALostDevice) {
  TempFolder dir;
  {
    OnGpu on(dir);
    TinyRun all = on.run(on.job("all"));
    ASSERT_EQ(all.result.error, "");
    EXPECT_TRUE(all.said("weights: resident"));
    EXPECT_EQ(all.result.weights, "resident");
    EXPECT_GT(on.gpu.device.most_held, 2 * size_t(kLimit) << 20);
    // What this job has left behind is more than the next one may take, and no obstacle.
    EXPECT_EQ(on.plan(on.job("some", kLimit)).status.message(), "");
  }
  {
    OnGpu on(dir);
    JobControl control;
    control.note = [](std::string) {};
    control.progress = [&](const Progress& p) {
      if (p.state == JobState::denoising && p.step == 1) on.gpu.device.waits_left = 0;
    };
    JobResult lost = make_render_runner(on.host)->run(on.job("some", kLimit), control);
    EXPECT_EQ(lost.code, ExitCode::device_lost) << lost.error;
    EXPECT_THAT(lost.error, HasSubstr("--resume goes on after step 1 of 2"));
  }
  OnGpu on(dir);
  JobSpec s = on.job("some", kLimit);
  s.resume = true;
  TinyRun some = on.run(s);
  ASSERT_EQ(some.result.error, "");
  EXPECT_TRUE(some.said("resume: going on after step 1 of 2")) << ::testing::PrintToString(some.notes);
  EXPECT_TRUE(some.said("weights: transformer streamed, 2 x ")) << ::testing::PrintToString(some.notes);
  EXPECT_EQ(some.result.weights, "streamed");
  EXPECT_LE(on.gpu.device.most_held, size_t(kLimit) << 20);
  EXPECT_LE(on.gpu.device.most_held, size_t(some.result.memory_estimate_mb + 1) << 20);
  EXPECT_THAT(on.gpu.device.copies()->faults, IsEmpty());
  EXPECT_EQ(latents_of(dir / "some.safetensors"), latents_of(dir / "all.safetensors"));
}

TEST(StreamedRender, DryRunSaysIt) {
  TempFolder dir;
  OnGpu on(dir);
  OnGpu::Plan p = on.plan(on.job("dry", kLimit));
  EXPECT_EQ(p.status.message(), "");
  EXPECT_THAT(p.notes, Contains(HasSubstr("weights: transformer streamed, 2 x ")));
  EXPECT_EQ(p.result.weights, "streamed");
}

TEST(StreamedRender, RefusedWhereEvenStreamingDoesNotFit) {
  TempFolder dir;
  OnGpu on(dir);
  JobSpec s = on.job("large", kLimit);
  s.size = {512, 512};
  TinyRun run = on.run(s);
  EXPECT_EQ(run.result.code, ExitCode::too_big);
  EXPECT_THAT(run.result.error, HasSubstr("free or allowed by --max-vram"));
  EXPECT_EQ(on.gpu.device.products, 0) << "refused before any work";
  // What it names does fit, streamed.
  const std::string& error = run.result.error;
  ASSERT_EQ(std::sscanf(error.c_str() + error.rfind("; "), "; %ldx%ld with 1 frames fits", &s.size.width, &s.size.height), 2) << error;
  OnGpu::Plan p = on.plan(s);
  EXPECT_EQ(p.status.message(), "");
  EXPECT_EQ(p.result.weights, "streamed");
  EXPECT_LE(p.result.memory_estimate_mb, int64_t(kLimit));
}

TEST(StreamedRender, RefusedWhereTheHostHasNoRoomForTheWeights) {
  TempFolder dir;
  OnGpu on(dir);
  JobSpec s = on.job("poor", kLimit);
  malloc_trim(0);
  s.max_memory = double(resident_mb() + 40) / 1024;
  TinyRun run = on.run(s);
  EXPECT_EQ(run.result.code, ExitCode::too_big);
  EXPECT_THAT(run.result.error, HasSubstr("streamed weights need"));
}

}  // namespace
}  // namespace zt::testing
