// Several workers on one folder without a server.
#include "tests/e2e/batch_support.h"

namespace zt {
namespace {

using namespace zt::testing;
using ::testing::HasSubstr;

// Jobs by how often some worker says to have rendered them.
std::map<int, int> rendered(const TempFolder& dir) {
  std::map<int, int> times;
  for (const std::string& name : dir.entries()) {
    if (!name.ends_with(".jsonl")) continue;
    for (const json& r : json_lines(read_all(dir / name))) {
      if (r.contains("job") && r["phase"] == "done" && !r.contains("skipped")) ++times[r["job"]];
    }
  }
  return times;
}

void share(int workers, int killed, int jobs, unsigned seed) {
  TempFolder dir;
  write_batch(dir, jobs, 8, "checkpoint_every = 2\n");
  std::mt19937 random(seed);
  std::vector<std::unique_ptr<Program>> running;
  auto start = [&](int i) {
    std::string name = "w" + std::to_string(i);
    running.push_back(std::make_unique<Program>(dir, batch_args({"--progress", "none", "--results", name + ".jsonl"}),
                                                std::vector<std::string>{}, "." + name));
  };
  for (int i = 0; i < workers; ++i) start(i);
  // Killed once they have begun, which their first claim shows.
  while (names_in(dir / "out", true).empty()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  for (int i = 0; i < killed; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100 + random() % 500));
    running[size_t(i)]->signal(SIGKILL);
  }
  for (int i = 0; i < workers; ++i) {
    Finished f = running[size_t(i)]->wait();
    EXPECT_EQ(f.code, i < killed && f.code != 0 ? 128 + SIGKILL : 0) << "worker " << i << ": " << f.err;
  }
  EXPECT_TRUE(names_in(dir / "out", true).empty());
  int clips = 0;
  for (const std::string& name : names_in(dir / "out", false)) {
    if (!name.ends_with(".mp4")) continue;
    ++clips;
    EXPECT_EQ(frames_in(dir / ("out/" + name)), 5) << name;
  }
  EXPECT_EQ(clips, jobs);
  auto times = rendered(dir);
  for (const auto& [job, n] : times) EXPECT_EQ(n, 1) << "job " << job;
  // A killed worker may have finished a clip that it could not report any more.
  EXPECT_GE(int(times.size()), jobs - killed);
  Finished again = run(dir, batch_args({"--progress", "jsonl"}));
  EXPECT_EQ(again.code, 0);
  EXPECT_EQ(json_lines(again.out).back()["skipped"], jobs);
}

TEST(Workers, FourOnFortyJobsWithTwoKilled) { share(4, 2, 40, 1); }
TEST(LongWorkers, ManyRounds) {
  for (unsigned seed = 2; seed < 12; ++seed) share(4, 2, 24, seed);
}

TEST(Workers, ShardsCoverEveryJobOnce) {
  for (const char* first : {"0/3", "3/3"}) {
    TempFolder dir;
    write_batch(dir, 7, 1);
    int i = 0;
    for (std::string shard : {std::string(first), std::string("1/3"), std::string("2/3")}) {
      Finished f = run(dir, batch_args({"--shard", shard, "--progress", "none", "--results", std::to_string(i++) + ".jsonl"}));
      EXPECT_EQ(f.code, 0) << f.err;
    }
    auto times = rendered(dir);
    EXPECT_EQ(times.size(), 7u);
    for (const auto& [job, n] : times) EXPECT_EQ(n, 1) << job;
  }
}

TEST(Workers, SlurmArrayTasksAreShards) {
  TempFolder dir;
  write_batch(dir, 5, 1);
  for (int task : {4, 6, 8}) {
    Finished f = run(dir, batch_args({"--progress", "none", "--results", std::to_string(task) + ".jsonl"}),
                     {"SLURM_ARRAY_TASK_ID=" + std::to_string(task), "SLURM_ARRAY_TASK_MIN=4", "SLURM_ARRAY_TASK_STEP=2",
                      "SLURM_ARRAY_TASK_COUNT=3"});
    EXPECT_EQ(f.code, 0) << f.err;
  }
  auto times = rendered(dir);
  EXPECT_EQ(times.size(), 5u);
  for (const auto& [job, n] : times) EXPECT_EQ(n, 1) << job;
}

TEST(Workers, ASignalStopsTheBatchAndTheNextRunGoesOn) {
  for (int signal : {SIGINT, SIGTERM, SIGUSR1}) {
    TempFolder dir;
    write_batch(dir, 1, 400);  // long enough for the signal to find it at work
    Program p(dir, batch_args({"--progress", "jsonl"}));
    while (p.printed().find("\"step\":5,") == std::string::npos) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    p.signal(signal);
    Finished stopped = p.wait();
    EXPECT_EQ(stopped.code, 130) << stopped.err;
    EXPECT_EQ(json_lines(stopped.out).back()["phase"], "cancelled");
    EXPECT_EQ(names_in(dir / "out", true), std::set<std::string>{".c1.checkpoint"});
    Finished f = run(dir, batch_args({"--progress", "none"}));
    EXPECT_EQ(f.code, 0) << f.err;
    EXPECT_THAT(f.err, HasSubstr("job 1: resume: going on after step"));
    EXPECT_TRUE(names_in(dir / "out", true).empty());
  }
}

TEST(Workers, ASignalStopsAllJobsAtATime) {
  TempFolder dir;
  write_batch(dir, 3, 400);
  Program p(dir, batch_args({"--progress", "jsonl", "--parallel", "2"}));
  auto under_way = [&] {
    std::set<int> jobs;
    for (const json& e : json_lines(p.printed())) {
      if (e.value("phase", "") == "denoising" && e["step"] >= 5) jobs.insert(int(e["job"]));
    }
    return jobs.size() == 2;
  };
  while (!under_way()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  p.signal(SIGTERM);
  Finished stopped = p.wait();
  EXPECT_EQ(stopped.code, 130) << stopped.err;
  EXPECT_EQ(names_in(dir / "out", true), (std::set<std::string>{".c1.checkpoint", ".c2.checkpoint"}));
  EXPECT_TRUE(names_in(dir / "out", false).empty());
}

}  // namespace
}  // namespace zt
