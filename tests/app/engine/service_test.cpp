// A long life: many jobs in one process, some cancelled, some invalid, through the queue as the programs use it.
#include <array>
#include <cstdio>
#include <map>
#include <random>
#include <thread>

#include "app/engine/engine.h"
#include "tests/app/engine/tiny_render.h"

namespace zt {
namespace {

using namespace zt::testing;

int64_t resident_kib() {
  std::ifstream f("/proc/self/statm");
  int64_t total = 0, resident = 0;
  f >> total >> resident;
  return resident * 4;
}

// Jobs of four prompts and three lengths, in an order that repeats itself after kPeriod. What is held differs from job to job: the
// most of the last period of the warm-up is what no later job may exceed by a hundredth.
constexpr int kPeriod = 60;

void serve(int jobs, int warm_up) {
  TempFolder dir;
  Engine engine(make_render_runner(tiny_host()));
  std::mt19937 random(9);
  int64_t warm = 0, most = 0;
  std::map<ExitCode, int> codes;
  for (int i = 0; i < jobs; ++i) {
    JobSpec s = tiny_job(dir / "a.mp4", 2);
    s.overwrite = true, s.seed = i, s.prompt = std::array{"a red ball", "a blue square", "rain", "two stars"}[size_t(i) % 4];
    s.frames = std::array{1, 5, 9}[size_t(i / 4) % 3];
    bool cancelled = i % 20 == 7, bad = i % 20 == 13;
    if (bad) s.size.width = 33;
    if (cancelled) s.steps = 200;
    Command submit;
    submit.spec = s;
    uint64_t request = engine.post(std::move(submit));
    auto cancel_at = std::chrono::steady_clock::now() + std::chrono::milliseconds(random() % 100);
    for (std::optional<JobResult> result; !result;) {
      if (cancelled && std::chrono::steady_clock::now() > cancel_at) {
        Command cancel;
        cancel.kind = Command::Kind::cancel, cancel.request = request;
        engine.post(std::move(cancel));
        cancelled = false;
      }
      auto event = engine.poll();
      if (!event) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      if (!event || !std::holds_alternative<JobResult>(event->payload)) continue;
      result = std::get<JobResult>(event->payload);
      ++codes[result->code];
      ExitCode want = bad ? ExitCode::invalid : i % 20 == 7 ? ExitCode::interrupted : ExitCode::done;
      EXPECT_EQ(result->code, want) << i << ": " << result->error;
    }
    int64_t& bound = i < warm_up ? warm : most;
    if (i >= warm_up - kPeriod) bound = std::max(bound, resident_kib());
    if (::testing::Test::HasFailure()) break;
  }
  EXPECT_LT(double(most), double(warm) * 1.01);
  std::printf("%d jobs: %d done, %d cancelled, %d refused; at most %ld KiB resident up to job %d, %ld KiB after it\n", jobs,
              codes[ExitCode::done], codes[ExitCode::interrupted], codes[ExitCode::invalid], long(warm), warm_up, long(most));
}

TEST(LongService, FiveHundredJobs) { serve(500, 120); }
TEST(Service, SixtyJobs) { serve(60, 40); }

}  // namespace
}  // namespace zt
