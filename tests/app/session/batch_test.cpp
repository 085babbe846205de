// Batch files to jobs: grids, templates, who wins, and what is refused with which word.
#include <gmock/gmock.h>

#include "app/session/batch_file.h"
#include "app/session/csv.h"
#include "tests/app/session/hostile_jobs.h"
#include "tests/support/memory_limit.h"

namespace zt {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Problem read(const std::string& text, std::vector<BatchJob>& jobs, bool csv = false, const JobSpec& flags = {},
             const std::set<std::string>& given = {}) {
  std::vector<BatchInput> in = {{csv ? "night.csv" : "night.toml", text, csv}};
  Problem p = read_batch(in, flags, given, jobs);
  return p.empty() ? settle_batch(jobs, "out") : p;
}

std::vector<BatchJob> good(const std::string& text, bool csv = false) {
  std::vector<BatchJob> jobs;
  EXPECT_EQ(read(text, jobs, csv), "");
  return jobs;
}

std::vector<std::string> outputs(const std::vector<BatchJob>& jobs) {
  std::vector<std::string> names;
  for (const BatchJob& j : jobs) names.push_back(j.spec.output);
  return names;
}

TEST(Batch, GridsExpandInTheOrderOfTheFile) {
  auto jobs = good("[defaults]\nprompt = 'a'\noutput = '{seed}-{attn}.mp4'\n[[job]]\nseed = [1, 2]\nattn = ['dense', 'radial']\n");
  EXPECT_THAT(outputs(jobs), ElementsAre("out/1-dense.mp4", "out/1-radial.mp4", "out/2-dense.mp4", "out/2-radial.mp4"));
  jobs = good("[[job]]\nprompt='a'\nattn = ['dense', 'radial']\nseed = [1, 2]\n");
  EXPECT_EQ(jobs[1].spec.seed, 2);
  EXPECT_EQ(jobs[2].spec.attn, "radial");
  EXPECT_THAT(outputs(jobs), ElementsAre("out/0001.mp4", "out/0002.mp4", "out/0003.mp4", "out/0004.mp4"));
}

TEST(Batch, AListOfTheDefaultsIsReplacedByTheJobsValue) {
  auto jobs = good("[defaults]\nprompt='a'\nseed=[1,2,3]\n[[job]]\nseed=9\n[[job]]\nsteps=[2,3]\n");
  ASSERT_EQ(jobs.size(), 1u + 6u);
  EXPECT_EQ(jobs[0].spec.seed, 9);
}

TEST(Batch, DefaultsThenFlagsThenTheJob) {
  std::vector<BatchJob> jobs;
  JobSpec flags;
  flags.steps = 7, flags.cfg_scale = 3, flags.frames = 9;
  ASSERT_EQ(read("[defaults]\nprompt='a'\nsteps=5\ncfg_scale=2\nfps=8\nseconds=2\n[[job]]\n[[job]]\nsteps=6\n", jobs, false, flags,
                 {"steps", "cfg_scale", "frames"}),
            "");
  EXPECT_EQ(jobs[0].spec.steps, 7);
  EXPECT_EQ(jobs[1].spec.steps, 6);
  EXPECT_EQ(jobs[1].spec.cfg_scale, 3);
  EXPECT_EQ(jobs[1].spec.fps, 8);
  EXPECT_EQ(jobs[0].spec.seconds, 0);
  EXPECT_EQ(jobs[0].spec.frames, 9);
  EXPECT_EQ(jobs[0].given, (std::set<std::string>{"prompt", "steps", "cfg_scale", "fps", "frames"}));
}

// What contradicts a key nearer to the job yields to it; what leaves things to the model contradicts nothing.
TEST(Batch, SigmasStepsAndShiftTheNearestWins) {
  auto given = [](const std::string& text) { return good(text).at(0).given; };
  using Set = std::set<std::string>;
  EXPECT_EQ(given("[defaults]\nprompt='a'\nsteps=20\nflow_shift=3\n[[job]]\nsigmas='1,0.5'\n"), (Set{"prompt", "sigmas"}));
  EXPECT_EQ(given("[defaults]\nprompt='a'\nsigmas='1,0.5'\n[[job]]\nsteps=20\n"), (Set{"prompt", "steps"}));
  EXPECT_EQ(given("[defaults]\nprompt='a'\nsigmas='1,0.5'\n[[job]]\nflow_shift=3\n"), (Set{"prompt", "flow_shift"}));
  EXPECT_EQ(given("[defaults]\nprompt='a'\nsteps=20\n[[job]]\nsigmas=''\nflow_shift=0\n"), (Set{"prompt", "steps", "sigmas", "flow_shift"}));
  EXPECT_EQ(given("[defaults]\nprompt='a'\nsigmas=''\n[[job]]\nsteps=4\n"), (Set{"prompt", "steps", "sigmas"}));
  EXPECT_EQ(given("[[job]]\nprompt='a'\nsteps=3\nsigmas='1,0.5'\n"), (Set{"prompt", "steps", "sigmas"}));
  JobSpec flags;
  flags.steps = 9;
  std::vector<BatchJob> jobs;
  ASSERT_EQ(read("[defaults]\nprompt='a'\nsigmas='1,0.5'\n[[job]]\n[[job]]\nsigmas='0.9'\n", jobs, false, flags, {"steps"}), "");
  EXPECT_EQ(jobs[0].given, (Set{"prompt", "steps"}));
  EXPECT_EQ(jobs[1].given, (Set{"prompt", "sigmas"}));
  EXPECT_EQ(good("prompt,sigmas\na,\"1,0.5\"\n", true)[0].spec.sigmas, (std::vector<double>{1, 0.5}));
  EXPECT_EQ(good("[[job]]\nprompt='a'\nsigmas=['1,0.5', '1']\noutput='{sigmas}.mp4'\n")[1].spec.output, "out/1.mp4");
}

TEST(Batch, Csv) {
  auto jobs = good("prompt,seed,output\r\n\"a \"\"red\"\" ball, rising\",3,\r\n\nb,,x.mp4\n", true);
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].spec.prompt, "a \"red\" ball, rising");
  EXPECT_EQ(jobs[0].spec.seed, 3);
  EXPECT_EQ(jobs[1].spec.seed, 42);
  EXPECT_THAT(outputs(jobs), ElementsAre("out/0001.mp4", "out/x.mp4"));
  EXPECT_EQ(jobs[1].place, "night.csv, line 4");
}

TEST(Batch, Templates) {
  JobSpec s;
  s.prompt = "Ein r\xc3\xb6tlicher Ball, 3 m hoch / weit", s.seed = 5, s.cfg_scale = 4.5, s.attn = "radial:decay=0.2,block=128";
  auto name = [&](const char* pattern) {
    std::string out;
    Problem p = expand_template(pattern, s, 12, out);
    return p.empty() ? out : "problem: " + p;
  };
  EXPECT_EQ(name("{index}"), "0012");
  EXPECT_EQ(name("{index:2}-{seed}.mp4"), "12-5.mp4");
  EXPECT_EQ(name("{prompt:14}"), "Ein-r\xc3\xb6tlicher");
  EXPECT_EQ(name("{prompt}"), "Ein-r\xc3\xb6tlicher-Ball-3-m-hoch-weit");
  EXPECT_EQ(name("{attn}_{cfg_scale}_{size}"), "radial-decay-0.2-block-128_4.5_128x128");
  EXPECT_EQ(name("{{{seed}}}"), "{5}");
  EXPECT_THAT(name("{sed}"), HasSubstr("did you mean {seed}"));
  EXPECT_THAT(name("{seed"), HasSubstr("does not close"));
  EXPECT_THAT(name("seed}"), HasSubstr("without its {"));
  EXPECT_THAT(name("{seed:}"), HasSubstr("length"));
  EXPECT_THAT(name("{seed:-1}"), HasSubstr("length"));
  EXPECT_THAT(name("{seed:99999999999}"), HasSubstr("length"));
}

TEST(Batch, NegativeSeedsAreDrawnTheSameWayAgain) {
  const char* text = "[defaults]\nprompt='a'\nseed=-1\n[[job]]\n[[job]]\n[[job]]\nprompt='b'\n";
  auto once = good(text), again = good(text);
  std::set<int64_t> seeds;
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(once[i].spec.seed, again[i].spec.seed);
    EXPECT_GE(once[i].spec.seed, 0);
    seeds.insert(once[i].spec.seed);
  }
  EXPECT_EQ(seeds.size(), 3u);
}

TEST(Batch, CollisionsAreRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {"[[job]]\nprompt='a'\noutput='x.mp4'\n[[job]]\nprompt='b'\noutput='x.mp4'\n", "job 2: output"},
      {"[[job]]\nprompt='a'\noutput='x.mp4'\nseed=[1,2]\n", "{seed}"},
      {"[[job]]\nprompt='a'\noutput='x.mp4'\n[[job]]\nprompt='b'\noutput='x.gif'\n", "job 1"},
      {"[[job]]\nprompt='a'\noutput='x.mp4'\nsave_latents='x.json'\n", "save_latents"},
      {"[[job]]\nprompt='a'\noutput='x.mp4'\nsave_latents='x.mp4'\n", "itself"},
      {"[[job]]\nprompt='a'\nsave_frames='f.safetensors'\nseed=[1,2]\n", "save_frames"},
  };
  for (const auto& [text, word] : cases) {
    std::vector<BatchJob> jobs;
    EXPECT_THAT(read(text, jobs), HasSubstr(word)) << text;
  }
}

class HostileJobs : public ::testing::Test {
 protected:
  void refused(const std::string& text, const std::string& word, bool csv = false) {
    std::vector<BatchJob> jobs;
    Problem p = read(text, jobs, csv);
    EXPECT_NE(p, "") << text.substr(0, 200);
    EXPECT_THAT(p, HasSubstr(word)) << text.substr(0, 200);
    EXPECT_EQ(p.find_first_of("\n\x1b"), std::string::npos) << "one line, nothing that drives a terminal";
    ++cases_;
  }
  int cases_ = 0;
};

TEST_F(HostileJobs, EveryBadValueNamesItsField) {
  testing::MemoryLimit limit;
  for (const testing::HostileJob& job : testing::hostile_jobs()) refused(job.text, job.field, job.csv);
  EXPECT_GE(cases_, 200);
}

// A message shows the beginning of a name, which may end in the middle of a character.
TEST_F(HostileJobs, NamesCutInsideACharacter) {
  for (size_t before = 50; before < 64; ++before) refused("prompt,output\na,x.mp4$" + std::string(before, 'L') + "\xef\xbb\xbf\xef\xbb\xbf\n", "has a $", true);
}

TEST_F(HostileJobs, Files) {
  refused("", "[[job]]");
  refused("# nothing", "[[job]]");
  refused("[[job]]\nprompt='a'\nprompt='b'\n", "line 3");
  refused("[[job]]\n", "prompt");
  refused("[[job]]\nprmpt='a'\n", "did you mean `prompt`");
  refused("[[job]]\nprompt='a'\n[[jobs]]\n", "did you mean `job`");
  refused("[[job]]\nprompt='a'\nx." + std::string(2000, 'y') + "='z'\n", "x");
  refused(std::string(200, '[') + std::string(200, ']'), "line 1");
  refused("[[job]]\nprompt=" + std::string(5000, '['), "line 2");
  refused("[[job]]\nprompt='" + std::string(size_t(1) << 20, 'a') + "'\n", "1 MiB");
  refused("[[job]]\nprompt='caf\xe9'\n", "UTF-8");
  refused(std::string("[[job]]\nprompt='a'\0\n", 20), "line 2");
  refused("\x7f" "ELF", "line 1");
  std::string list = "[[job]]\nprompt='a'\nseed=[";
  for (int i = 0; i < 1000; ++i) list += std::to_string(i) + ",";
  refused(list + "]\nsteps=[1,2,3,4]\nframes=[1,5,9]\nfps=[1,2,3,4,5,6,7,8,9]\n", "100000");
  refused("prompt,seed\n", "no jobs", true);
  refused("prompt,sed\na,1\n", "did you mean `seed`", true);
  refused("prompt,prompt\na,b\n", "twice", true);
  refused("prompt,seed\na\n", "cells", true);
  refused("prompt,seed\na,1,2\n", "cells", true);
  refused("prompt\n\"a\n", "does not close", true);
  refused("prompt\n\"a\"b\n", "closing quote", true);
  refused("prompt\na\"b\n", "quote", true);
  refused("prompt\ncaf\xe9\n", "UTF-8", true);
}

}  // namespace
}  // namespace zt
