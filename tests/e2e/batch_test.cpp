// `zoetrope batch` from outside: what runs, what is refused before any work, with which code.
#include "tests/e2e/batch_support.h"

namespace zt {
namespace {

using namespace zt::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(BatchCommand, RunsThenSkips) {
  TempFolder dir;
  write_batch(dir, 2, 1);
  Finished f = run(dir, batch_args());
  ASSERT_EQ(f.code, 0) << f.err;
  EXPECT_EQ(names_in(dir / "out", false), (std::set<std::string>{"c1.json", "c1.mp4", "c2.json", "c2.mp4"}));
  json last = json_lines(f.out).back();
  EXPECT_EQ(last["jobs"], 2);
  EXPECT_EQ(last["done"], 2);
  std::string first = read_all(dir / "out/c1.mp4");
  std::filesystem::remove(dir / "out/c2.json");
  f = run(dir, batch_args({"--overwrite"}));
  ASSERT_EQ(f.code, 0) << f.err;
  EXPECT_EQ(json_lines(f.out).back()["skipped"], 1) << "a clip without its side file is not done";
  EXPECT_EQ(read_all(dir / "out/c1.mp4"), first);
}

TEST(BatchCommand, OtherSettingsAreAnotherJob) {
  TempFolder dir;
  write_batch(dir, 2, 1);
  ASSERT_EQ(run(dir, batch_args()).code, 0);
  Finished f = run(dir, batch_args({"--steps", "2", "--cfg-scale", "3"}));
  ASSERT_EQ(f.code, 0) << f.err;
  EXPECT_EQ(json_lines(f.out).back()["skipped"], 0) << "the file's steps stand in [defaults], and flags win over them";
}

TEST(BatchCommand, JobsAtATimeChangeNothingButTheOrder) {
  TempFolder dir;
  write_batch(dir, 4, 12);
  ASSERT_EQ(run(dir, batch_args({"--parallel", "1"})).code, 0);
  Finished f = run(dir, {"batch", "night.toml", "--output-dir", "beside", "--parallel", "3", "--progress", "jsonl"});
  ASSERT_EQ(f.code, 0) << f.err;
  EXPECT_EQ(names_in(dir / "beside", false), names_in(dir / "out", false));
  for (const std::string& name : names_in(dir / "out", false)) EXPECT_EQ(read_all(dir / ("beside/" + name)), read_all(dir / ("out/" + name))) << name;
  // A job that goes on after another one has sampled was not alone.
  std::map<int, std::pair<size_t, size_t>> sampled;  // by job, first and last line
  auto lines = json_lines(f.out);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].value("phase", "") != "denoising") continue;
    auto& [first, last] = sampled.try_emplace(lines[i]["job"], i, i).first->second;
    last = i;
  }
  ASSERT_EQ(sampled.size(), 4u);
  EXPECT_LT(sampled[2].first, sampled[1].second);
  EXPECT_LT(sampled[1].first, sampled[2].second);
  for (const char* bad : {"0", "-1", "65", "x"}) EXPECT_EQ(run(dir, batch_args({"--parallel", bad})).code, 2) << bad;
}

TEST(BatchCommand, FolderAndCsv) {
  TempFolder dir;
  std::filesystem::create_directory(dir / "jobs");
  write_all(dir / "jobs/a.csv", "prompt,output,size,frames,steps\na ball,x.mp4,32x32,5,1\n");
  write_all(dir / "jobs/b.toml", "[[job]]\nprompt='b'\nsize='32x32'\nframes=5\nsteps=1\noutput='sub/y.gif'\n");
  Finished f = run(dir, {"batch", "jobs", "--progress", "none"});
  ASSERT_EQ(f.code, 0) << f.err;
  EXPECT_EQ(names_in(dir / "jobs", false), (std::set<std::string>{"a.csv", "b.toml", "sub", "x.json", "x.mp4"}));
  EXPECT_EQ(names_in(dir / "jobs/sub", false), (std::set<std::string>{"y.gif", "y.json"}));
}

TEST(BatchCommand, DryRunTouchesNothing) {
  TempFolder dir;
  write_batch(dir, 3, 2);
  Finished f = run(dir, batch_args({"--dry-run", "--json"}));
  ASSERT_EQ(f.code, 0) << f.err;
  EXPECT_THAT(dir.entries(), ElementsAre("night.toml"));
  json plan = json::parse(f.out);
  ASSERT_EQ(plan["jobs"].size(), 3u);
  EXPECT_GT(plan["jobs"][0]["memory_mb"], 10);
  EXPECT_GT(plan["jobs"][0]["expected_s"], 0);
}

TEST(BatchCommand, OneBadJobDoesNotStopTheOthers) {
  TempFolder dir;
  write_all(dir / "night.toml",
            "[defaults]\nsize='32x32'\nframes=5\nsteps=1\nprompt='a'\noutput='c{index:1}.mp4'\n[[job]]\n[[job]]\ninit_latents='l'\n[[job]]\n");
  write_all(dir / "l", "this is no tensor");
  Finished f = run(dir, batch_args());
  EXPECT_EQ(f.code, 1) << f.err;
  EXPECT_THAT(f.err, HasSubstr("init_latents"));
  EXPECT_EQ(names_in(dir / "out", false), (std::set<std::string>{"c1.json", "c1.mp4", "c3.json", "c3.mp4"}));
  EXPECT_EQ(json_lines(f.out).back()["failed"], 1);
}

struct Refusal {
  const char* name;
  const char* toml;
  int code;
  const char* word;
};
void PrintTo(const Refusal& r, std::ostream* out) { *out << r.name; }

class BatchRefusal : public ::testing::TestWithParam<Refusal> {};

TEST_P(BatchRefusal, BeforeAnyWork) {
  TempFolder dir;
  write_all(dir / "night.toml", GetParam().toml);
  for (std::vector<std::string> more : {std::vector<std::string>{}, {"--dry-run"}}) {
    Finished f = run(dir, batch_args(more));
    EXPECT_EQ(f.code, GetParam().code) << f.err;
    EXPECT_THAT(f.err, HasSubstr(GetParam().word));
    EXPECT_EQ(std::count(f.err.begin(), f.err.end(), '\n'), 1) << f.err;
    EXPECT_EQ(f.out, "");
    for (const std::string& name : dir.entries()) EXPECT_TRUE(name == "night.toml" || (name == "out" && names_in(dir / "out", false).empty())) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, BatchRefusal,
    ::testing::Values(Refusal{"Empty", "", 2, "[[job]]"}, Refusal{"UnknownKey", "[[job]]\nprompt='a'\nstpes=3\n", 2, "did you mean `steps`"},
                      Refusal{"Absolute", "[[job]]\nprompt='a'\noutput='/tmp/zt-x.mp4'\n", 2, "absolute"},
                      Refusal{"Parent", "[[job]]\nprompt='a'\noutput='../x.mp4'\n", 2, ".."},
                      Refusal{"WrongType", "[[job]]\nprompt='a'\nsteps='3'\n", 2, "steps"},
                      Refusal{"NotFinite", "[[job]]\nprompt='a'\ncfg_scale=inf\n", 2, "cfg_scale"},
                      Refusal{"Collision", "[[job]]\nprompt='a'\noutput='x.mp4'\nseed=[1,2]\n", 2, "job 1"},
                      Refusal{"Method", "[[job]]\nprompt='a'\nattn='denze'\n", 2, "dense"},
                      Refusal{"SecondJob", "[[job]]\nprompt='a'\n[[job]]\nprompt='b'\nsize='7x7'\n", 2, "job 2"},
                      Refusal{"NoModel", "[[job]]\nprompt='a'\nmodel='nowhere'\n", 3, "nowhere"},
                      Refusal{"DeviceModel", "[[job]]\nprompt='a'\nmodel='/dev/zero'\n", 3, "/dev/zero"},
                      Refusal{"Shell", "[[job]]\nprompt='a'\noutput='$(touch x).mp4'\n", 2, "output"}),
    [](const auto& r) { return std::string(r.param.name); });

TEST(BatchCommand, AJobThatDoesNotFitFailsAlone) {
  TempFolder dir;
  write_all(dir / "night.toml", "[defaults]\nprompt='a'\nsize='32x32'\nframes=5\nsteps=1\n[[job]]\nmax_memory=0.001\n[[job]]\n");
  Finished f = run(dir, batch_args({"--dry-run"}));
  EXPECT_EQ(f.code, 4);
  EXPECT_THAT(f.err, HasSubstr("--max-memory"));
  f = run(dir, batch_args());
  EXPECT_EQ(f.code, 1);
  EXPECT_EQ(names_in(dir / "out", false), (std::set<std::string>{"0002.json", "0002.mp4"}));
}

TEST(BatchCommand, LinksDoNotLeadOut) {
  TempFolder dir, other;
  write_all(dir / "night.toml", "[[job]]\nprompt='a'\nsize='32x32'\nframes=5\nsteps=1\noutput='sub/x.mp4'\n");
  std::filesystem::create_directory(dir / "out");
  std::filesystem::create_directory_symlink(other.path(), dir / "out/sub");
  Finished f = run(dir, batch_args());
  EXPECT_EQ(f.code, 2) << f.err;
  EXPECT_THAT(f.err, HasSubstr("through a link"));
  EXPECT_TRUE(other.entries().empty());
}

TEST(BatchCommand, ForeignFilesAreKept) {
  TempFolder dir;
  write_batch(dir, 1, 1);
  std::filesystem::create_directory(dir / "out");
  write_all(dir / "out/c1.mp4", "holiday");
  Finished f = run(dir, batch_args());
  EXPECT_EQ(f.code, 2) << f.err;
  EXPECT_THAT(f.err, HasSubstr("--overwrite"));
  EXPECT_EQ(read_all(dir / "out/c1.mp4"), "holiday");
  for (const char* bad : {"x/2", "1", "3/2", "-1/2", "1/0", "1/2/3"}) {
    Finished g = run(dir, batch_args({"--shard", bad}));
    EXPECT_EQ(g.code, 2) << bad;
    EXPECT_THAT(g.err, HasSubstr("shard")) << bad;
  }
}

}  // namespace
}  // namespace zt
