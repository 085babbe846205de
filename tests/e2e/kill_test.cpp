// SIGKILL at random times over a batch: nothing partial under a final name, nothing finished lost, at most one checkpoint
// interval of work done twice, and the next run completes.
#include <regex>

#include "tests/e2e/batch_support.h"

namespace zt {
namespace {

using namespace zt::testing;

class Kills {
 public:
  static constexpr int kJobs = 8, kSteps = 8;
  explicit Kills(unsigned seed) : random_(seed) {
    write_batch(dir_, kJobs, kSteps, "checkpoint_every = 1\n");
    auto began = std::chrono::steady_clock::now();
    Finished whole = run(dir_, {"batch", "night.toml", "--output-dir", "whole", "--progress", "none"});
    EXPECT_EQ(whole.code, 0) << whole.err;
    job_ms_ = std::max<int64_t>((std::chrono::steady_clock::now() - began) / std::chrono::milliseconds(kJobs), 1);
  }

  void kill_times(int count) {
    for (int i = 0; i < count; ++i) {
      // Every other one with two jobs at a time.
      Program p(dir_, batch_args({"--progress", "jsonl", "--parallel", i % 2 ? "2" : "1"}));
      // Every fourth one may fall into the start; the others come once jobs run.
      auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
      while (i % 4 && p.printed().empty() && std::chrono::steady_clock::now() < give_up)
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      std::this_thread::sleep_for(std::chrono::milliseconds(int64_t(random_()) % (3 * job_ms_)));
      p.signal(SIGKILL);
      std::string out = p.printed(), err = p.said();
      Finished f = p.wait();
      look_at_work(out + f.out, f.err);
      look_at_folder();
      if (f.code == 0) start_over();
    }
  }

  // The run after the last kill.
  void complete() {
    Finished f = run(dir_, batch_args({"--progress", "jsonl"}));
    ASSERT_EQ(f.code, 0) << f.err;
    look_at_work(f.out, f.err);
    look_at_folder();
    EXPECT_EQ(finished_.size(), size_t(kJobs));
    EXPECT_TRUE(names_in(dir_ / "out", true).empty()) << "only clips and side files stay";
    EXPECT_EQ(names_in(dir_ / "out", false), names_in(dir_ / "whole", false));
    for (const std::string& name : names_in(dir_ / "whole", false)) EXPECT_EQ(read_all(dir_ / ("out/" + name)), read_all(dir_ / ("whole/" + name))) << name;
  }

  int clips() const { return clips_; }
  int resumed() const { return resumed_; }
  int64_t most_lost() const { return most_lost_; }

 private:
  void look_at_folder() {
    for (const std::string& name : names_in(dir_ / "out", false)) {
      if (!name.ends_with(".mp4")) continue;
      std::string path = dir_ / ("out/" + name);
      EXPECT_EQ(frames_in(path), 5) << name << " is partial";
      json side = json::parse(read_all(dir_ / ("out/" + name.substr(0, name.size() - 4) + ".json")), nullptr, false);
      EXPECT_TRUE(side.is_object() && side.contains("settings_hash")) << name;
      auto [at, fresh] = finished_.emplace(name, read_all(path));
      clips_ += fresh;
    }
    for (const auto& [name, bytes] : finished_) EXPECT_EQ(read_all(dir_ / ("out/" + name)), bytes) << name << " was lost";
  }

  // A step that was reported may be lost only until its checkpoint is there, which is before the next one is reported.
  void look_at_work(const std::string& out, const std::string& err) {
    std::map<int, int64_t> resumed, reached;
    std::regex note("job (\\d+): resume: going on after step (\\d+)");
    for (std::sregex_iterator i(err.begin(), err.end(), note), end; i != end; ++i) resumed[std::stoi((*i)[1])] = std::stoll((*i)[2]);
    for (const json& e : json_lines(out)) {
      if (e.value("phase", "") != "denoising") continue;
      int job = e["job"];
      int64_t step = e["step"];
      if (step >= 1 && at_least_[job] > 0) {
        int64_t from = resumed.count(job) ? resumed[job] : 0;
        EXPECT_GE(from, at_least_[job] - 1) << "job " << job;
        most_lost_ = std::max(most_lost_, at_least_[job] - from);
        resumed_ += from > 0;
        at_least_[job] = 0;
      }
      reached[job] = std::max(reached[job], step);
    }
    for (const auto& [job, step] : reached) at_least_[job] = std::max(at_least_[job], step);
  }

  void start_over() {
    std::filesystem::remove_all(dir_ / "out");
    finished_.clear(), at_least_.clear();
  }

  TempFolder dir_;
  std::mt19937 random_;
  int64_t job_ms_ = 1;  // what a job takes here and now
  std::map<std::string, std::string> finished_;
  std::map<int, int64_t> at_least_;  // steps a job was seen to have done
  int clips_ = 0, resumed_ = 0;
  int64_t most_lost_ = 0;
};

void kill_and_complete(int count, unsigned seed) {
  Kills kills(seed);
  kills.kill_times(count);
  kills.complete();
  EXPECT_GT(kills.clips(), 0);
  EXPECT_GT(kills.resumed(), 0);
  std::printf("%d kills: %d clips, %d resumed jobs, at most %d steps done twice\n", count, kills.clips(), kills.resumed(), int(kills.most_lost()));
}

TEST(Kill, TenTimesOverABatch) { kill_and_complete(10, 3); }
TEST(LongKill, TwoHundredTimesOverABatch) { kill_and_complete(200, 4); }

// The last step a render has reported. Events may be skipped when the reader is slow, so it may pass any number.
int64_t last_step(const std::string& out) {
  int64_t step = -1;
  for (const json& e : json_lines(out)) {
    if (e.value("phase", "") == "denoising") step = e["step"];
  }
  return step;
}

// A render killed when it says that step k, at least, is done; final latents as if nothing had happened.
void kill_at_steps(const std::vector<int>& steps) {
  TempFolder dir;
  auto args = [](const std::string& name, bool resume) {
    std::vector<std::string> a = {"render", "-p",     "a red ball", "--size",    "32x32", "--frames", "5",       "--steps", "20",    "--threads",
                                  "1",      "-o",     name + ".mp4", "--save-latents", name + ".safetensors", "--checkpoint-every", "1",
                                  "--progress", "jsonl"};
    if (resume) a.push_back("--resume");
    return a;
  };
  ASSERT_EQ(run(dir, args("whole", false)).code, 0);
  const std::string wanted = read_all(dir / "whole.safetensors");
  for (int k : steps) {
    std::string name = "k" + std::to_string(k);
    Program p(dir, args(name, false));
    auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (last_step(p.printed()) < k && std::chrono::steady_clock::now() < give_up)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    p.signal(SIGKILL);
    p.wait();
    Finished f = run(dir, args(name, true));
    EXPECT_EQ(f.code, 0) << k << ": " << f.err;
    // Everything but the name is the same: the settings stored with the latents, and the latents.
    EXPECT_EQ(read_all(dir / (name + ".safetensors")), wanted) << k;
    EXPECT_EQ(read_all(dir / (name + ".mp4")), read_all(dir / "whole.mp4")) << k;
  }
  EXPECT_TRUE(names_in(dir.path(), true).empty());
}

TEST(Kill, AtSomeStepsThenResume) { kill_at_steps({1, 7, 20}); }
TEST(LongKill, AtEachOfTwentyStepsThenResume) {
  std::vector<int> all;
  for (int k = 1; k <= 20; ++k) all.push_back(k);
  kill_at_steps(all);
}

}  // namespace
}  // namespace zt
