// Every n-th allocation and every n-th write of a tiny render fails: no crash, a documented exit code, nothing under a final name,
// and the same process renders the same clip once the fault is gone.
#include <gmock/gmock.h>

#include <cstdio>

#include "tests/app/engine/tiny_render.h"

namespace zt {
namespace {

using namespace zt::testing;

class Faults : public ::testing::Test {
 protected:
  JobSpec job(const std::string& name) {
    JobSpec s = tiny_job(dir / (name + ".mp4"), 2);
    s.checkpoint_every = 1, s.save_latents = dir / (name + ".safetensors"), s.save_frames = dir / (name + ".frames");
    return s;
  }
  void SetUp() override {
    ASSERT_EQ(run_tiny(*make_render_runner(tiny_host()), job("good")).result.code, ExitCode::done);
    clip_ = read_all(dir / "good.mp4");
  }
  // What a failed run may leave: hidden files, and outputs that were complete before the fault (latents come first, the clip last).
  void expect_nothing_partial(const JobSpec& s, const std::string& what) {
    EXPECT_FALSE(std::filesystem::exists(s.output)) << what;
    for (const std::string& name : dir.entries()) {
      if (name.starts_with("good") || name.starts_with(".")) continue;
      if (name == "bad.safetensors") {
        EXPECT_EQ(latents_of(dir / name), latents_of(dir / "good.safetensors")) << what;
      } else if (name == "bad.frames") {
        EXPECT_EQ(read_all(dir / name).size(), read_all(dir / "good.frames").size()) << what;
      } else {
        EXPECT_EQ(name, "bad.json") << what;
      }
    }
  }
  void retry(JobRunner& runner, JobSpec s, const std::string& what) {
    s.resume = true;
    TinyRun again = run_tiny(runner, s);
    ASSERT_EQ(again.result.code, ExitCode::done) << what << ": " << again.result.error;
    EXPECT_EQ(read_all(s.output), clip_) << what;
    for (const std::string& name : dir.entries()) {
      EXPECT_FALSE(name.starts_with(".")) << what << " left " << name;
      if (!name.starts_with("good")) std::filesystem::remove(dir / name);
    }
  }

  // Allocations from the first weight to the last frame, each `stride`-th of them.
  void allocations(int stride) {
    int64_t hit = 0;
    for (int64_t n = 0;; n += stride) {
      std::string what = fmt::format("allocation {}", n);
      auto host = tiny_host();
      auto runner = make_render_runner(host);
      host->machine().arena.fail_at(n);
      TinyRun run = run_tiny(*runner, job("bad"));
      if (run.result.code == ExitCode::done) break;
      ++hit;
      host->machine().arena.fail_at(-1);
      EXPECT_EQ(run.result.code, ExitCode::too_big) << what << ": " << run.result.error;
      EXPECT_THAT(run.result.error, ::testing::HasSubstr("memory")) << what;
      expect_nothing_partial(job("bad"), what);
      retry(*runner, job("bad"), what);
    }
    EXPECT_GT(hit, 100 / stride) << "a render makes more allocations than that";
    std::printf("%d failed allocations\n", int(hit));
  }

  void writes(int stride) {
    auto host = tiny_host();
    auto runner = make_render_runner(host);
    int64_t hit = 0;
    for (int64_t n = 0;; n += stride) {
      std::string what = fmt::format("write {}", n);
      host->machine().faults.fail_at(n);
      TinyRun run = run_tiny(*runner, job("bad"));
      bool was_hit = host->machine().faults.hit();
      host->machine().faults.fail_at(-1);
      if (!was_hit) {
        EXPECT_EQ(run.result.code, ExitCode::done);
        break;
      }
      ++hit;
      if (run.result.code == ExitCode::done) {  // only a checkpoint may be lost without the job
        EXPECT_TRUE(run.said("checkpoint:")) << what;
        EXPECT_EQ(read_all(dir / "bad.mp4"), clip_) << what;
        for (const std::string& name : dir.entries()) {
          if (!name.starts_with("good")) std::filesystem::remove(dir / name);
        }
        continue;
      }
      EXPECT_TRUE(run.result.code == ExitCode::failed || run.result.code == ExitCode::invalid) << what << ": " << run.result.error;
      EXPECT_THAT(run.result.error, ::testing::HasSubstr("No space left")) << what;
      expect_nothing_partial(job("bad"), what);
      retry(*runner, job("bad"), what);
    }
    EXPECT_GT(hit, 20 / stride);
    std::printf("%d failed writes\n", int(hit));
  }

  TempFolder dir;
  std::string clip_;
};

using LongFaults = Faults;

TEST_F(Faults, SomeAllocations) { allocations(41); }
TEST_F(Faults, SomeWrites) { writes(5); }
TEST_F(LongFaults, EveryAllocation) { allocations(1); }
TEST_F(LongFaults, EveryWrite) { writes(1); }

}  // namespace
}  // namespace zt
