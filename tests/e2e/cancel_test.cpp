// A render told to stop at a time nobody chose: it is over within two seconds, leaves nothing under a final name, and goes on to
// the same clip.
#include "tests/e2e/batch_support.h"

namespace zt {
namespace {

using namespace zt::testing;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

// Of the embedded model at its own size, so that every phase has its share: start, load, sampling, decoding, writing.
std::vector<std::string> render_args(const std::string& name, bool resume) {
  std::vector<std::string> args = {"render", "-p", "a red ball", "-o", name + ".mp4", "--steps", "4", "--progress", "jsonl"};
  if (resume) args.push_back("--resume");
  return args;
}

// Where a render stood when it was told to stop: the phase of its last event.
std::string phase_of(const std::string& out) {
  std::string phase = "start";
  for (const json& e : json_lines(out)) {
    if (std::string p = e.value("phase", ""); p != "cancelled" && !p.empty()) phase = p;
  }
  return phase;
}

// Until that many renders were stopped; one that was done before the signal came does not count.
void cancel_at_random_times(int count, unsigned seed) {
  // Shells start what runs in the background with SIGINT ignored, and the renders here would inherit that.
  std::signal(SIGINT, SIG_DFL);
  TempFolder dir;
  auto began = Clock::now();
  Finished undisturbed = run(dir, render_args("whole", false));
  ASSERT_EQ(undisturbed.code, 0) << undisturbed.err;
  const double whole = seconds_since(began);
  // Two seconds of work, and two by the clock, or more where others use the machine: as many times as the whole render took
  // longer by the clock than its work.
  constexpr double kAtMost = 2;
  const double by_the_clock = kAtMost * std::max(1.0, whole / undisturbed.cpu_s);
  const std::string clip = read_all(dir / "whole.mp4");
  std::mt19937 random(seed);
  std::map<std::string, int> phases;
  double longest = 0, most_work = 0;
  int finished = 0;
  for (int i = 0; i < count + finished && finished <= 2 * count; ++i) {
    Program p(dir, render_args("part", false));
    std::this_thread::sleep_for(std::chrono::duration<double>(whole * double(random() % 1000) / 1000));
    auto told = Clock::now();
    const double used = p.cpu_s();
    p.signal(i % 2 ? SIGINT : SIGTERM);
    Finished f = p.wait();
    const double took = seconds_since(told), work = f.cpu_s - used;
    longest = std::max(longest, took), most_work = std::max(most_work, work);
    EXPECT_LT(took, by_the_clock) << i << ": " << f.out;
    EXPECT_LT(work, kAtMost) << i << ": " << f.out;
    if (f.code != 0) ++phases[phase_of(f.out)];
    finished += f.code == 0;
    // Before the program listens, a signal ends it as it ends any other.
    bool by_itself = f.out.empty() && f.code == 128 + SIGTERM;
    EXPECT_TRUE(f.code == 0 || f.code == 130 || by_itself) << i << ": " << f.code << " " << f.err;
    EXPECT_EQ(std::filesystem::exists(dir / "part.mp4"), f.code == 0) << i;
    for (const std::string& name : dir.entries()) {
      bool ours = name == ".part.checkpoint" || name.starts_with("whole.") || (f.code == 0 && name.starts_with("part."));
      EXPECT_TRUE(ours) << i << " left " << name;
    }
    if (i % 5 == 0) {
      Finished again = run(dir, render_args("part", true));
      EXPECT_EQ(again.code, 0) << i << ": " << again.err;
      EXPECT_EQ(read_all(dir / "part.mp4"), clip) << i;
      EXPECT_FALSE(std::filesystem::exists(dir / ".part.checkpoint")) << i;
    }
    for (const char* name : {"part.mp4", "part.json", ".part.checkpoint"}) std::filesystem::remove(dir / name);
  }
  std::string where;
  for (const auto& [phase, n] : phases) where += fmt::format("{}{} {}", where.empty() ? "" : ", ", phase, n);
  EXPECT_LE(finished, 2 * count);
  std::printf("%d renders stopped (%s), %d were done before; at most %.3f s and %.3f s of work to stop\n", count, where.c_str(), finished, longest,
              most_work);
}

TEST(Cancel, AtRandomTimes) { cancel_at_random_times(6, 1); }
TEST(LongCancel, AtAHundredRandomTimes) { cancel_at_random_times(100, 2); }

}  // namespace
}  // namespace zt
