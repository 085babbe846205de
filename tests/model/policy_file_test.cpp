// Plan files: which entry decides, heads with methods of their own, plans as text, and what is refused.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "kernels/plan/plan_build.h"
#include "kernels/plan/plan_text.h"
#include "model/policy/policy.h"
#include "tests/model/policy_support.h"

namespace zt {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::must;

class PlanFile : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("zt_plan_file_" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return fmt::format("@{}", (folder_ / name).string());
  }
  std::string message(const std::string& text) { return make_policy(write("x.toml", text)).status().message(); }
  std::filesystem::path folder_;
};

PolicyInput at(int64_t layer, int64_t step, int64_t heads = 4, Branch branch = Branch::cond) {
  PolicyInput in;
  in.site.grid = {6, 16, 16};
  in.site.layer = layer, in.site.layers = 8, in.site.step = step, in.site.steps = 10, in.site.branch = branch;
  in.heads = heads;
  return in;
}

TEST_F(PlanFile, LaterEntriesWin) {
  auto policy = must(make_policy(write("a.toml", R"(
version = 1
default = "window:window=3x3x3"
[[plan]]
layers = "2-4, 7"
attn = "dense"
[[plan]]
layers = "4"
steps = "5-"
branch = "cond"
attn = "radial:decay=0.2,block=64"
)")));
  EXPECT_EQ(policy->needs(), PolicyNeeds::nothing);
  PlanPtr window = must(policy->plan(at(0, 0), {})), radial = must(policy->plan(at(4, 5), {}));
  EXPECT_TRUE(window->has_masks());
  EXPECT_EQ(radial->parts().q.count(), 24);
  for (int64_t layer = 0; layer < 8; ++layer) {
    for (int64_t step = 0; step < 10; ++step) {
      for (Branch b : {Branch::cond, Branch::uncond}) {
        PlanPtr p = must(policy->plan(at(layer, step, 4, b), {}));
        if (layer == 4 && step >= 5 && b == Branch::cond) {
          EXPECT_EQ(p, radial);
        } else if ((layer >= 2 && layer <= 4) || layer == 7) {
          EXPECT_TRUE(p->is_dense());
        } else {
          EXPECT_EQ(p, window);
        }
      }
    }
  }
}

TEST_F(PlanFile, HeadsHaveMethodsOfTheirOwn) {
  auto policy = must(make_policy(write("a.toml", R"(
version = 1
[[plan]]
heads = "1-2"
attn = "radial:decay=0.2,block=64"
[[plan]]
heads = "2"
attn = "radial:decay=1,block=64,sink=0"
)")));
  PlanPtr plan = must(policy->plan(at(0, 0), {}));
  EXPECT_EQ(plan->model_heads(), 4);
  EXPECT_EQ(plan->parts().heads, 3);
  EXPECT_EQ(plan->set_of(0), plan->set_of(3));
  auto one = must(make_policy("radial:decay=0.2,block=64"));
  EXPECT_EQ(must(plan->expand(1)), must(must(static_plan(*one, {6, 16, 16}, 1, {}))->expand(0)));
  EXPECT_EQ(must(policy->plan(at(5, 5), {})), plan);  // merged once
  auto apart = must(make_policy(
      write("b.toml", "version = 1\ndefault = \"radial:block=64\"\n[[plan]]\nheads = \"1\"\nattn = \"radial:block=128\"\n")));
  EXPECT_THAT(apart->plan(at(0, 0), {}).status().message(), HasSubstr("equal blocks"));
}

TEST_F(PlanFile, PlansAsText) {
  PlanPtr band = must(plan_band(6 * 16 * 16, 100, 64));
  std::string direct = write("band.toml", plan_to_text(*band));
  auto policy = must(make_policy(direct));
  EXPECT_EQ(hex(must(policy->plan(at(3, 3), {}))->hash()), hex(band->hash()));
  PolicyInput other = at(0, 0);
  other.site.grid = {7, 16, 16};
  EXPECT_THAT(policy->plan(other, {}).status().message(), AllOf(HasSubstr("1536 x 1536"), HasSubstr("1792 x 1792")));

  std::string named = write("c.toml", "version = 1\n[[plan]]\nlayers = \"1\"\nfile = \"band.toml\"\n");
  auto choices = must(make_policy(named));
  EXPECT_TRUE(must(choices->plan(at(0, 0), {}))->is_dense());
  EXPECT_EQ(hex(must(choices->plan(at(1, 0), {}))->hash()), hex(band->hash()));

  // The hash of a SPEC sees the named plan too.
  std::string before = must(spec_hash(named));
  write("band.toml", plan_to_text(*must(plan_band(6 * 16 * 16, 101, 64))));
  EXPECT_NE(must(spec_hash(named)), before);

  PlanParts until = band->parts();
  until.valid_until = 4;
  auto early = must(make_policy(write("d.toml", plan_to_text(*must(AttentionPlan::make(until))))));
  EXPECT_TRUE(early->plan(at(0, 4), {}).ok());
  EXPECT_THAT(early->plan(at(0, 5), {}).status().message(), HasSubstr("serves up to step 4"));
  PlanParts linear = band->parts();
  linear.linear.emplace();
  PlanPtr both = must(AttentionPlan::make(linear));
  auto with_linear = must(make_policy(write("l.toml", plan_to_text(*both))));
  EXPECT_EQ(hex(must(with_linear->plan(at(0, 0), {}))->hash()), hex(both->hash()));
  std::string damaged = plan_to_text(*band);
  damaged[damaged.find("cols = [0") + 8] = '1';
  EXPECT_THAT(message(damaged), AllOf(HasSubstr("x.toml"), HasSubstr("plan file:")));
}

TEST_F(PlanFile, Refusals) {
  EXPECT_THAT(message(""), HasSubstr("no version"));
  // A plan as text that lost its hash, or has its keys in another order, is still one.
  EXPECT_THAT(message("version = 1\nlist_sets = 1\ndense = true\n"), HasSubstr("'hash' is missing"));
  EXPECT_THAT(message("hash = \"0\"\nversion = 1\n"), HasSubstr("'list_sets' is missing"));
  for (const char* version : {"-1", "1.5", "\"1\"", "99999999999999999999"})
    EXPECT_THAT(message(fmt::format("version = {}\nhash = \"0\"\n", version)), HasSubstr("'version'"));
  EXPECT_THAT(message("version = 2"), HasSubstr("version 2, this program reads version 1"));
  EXPECT_THAT(message("version = 1\ncolour = 1"), HasSubstr("unknown key 'colour'"));
  EXPECT_THAT(message("version = 1\ndefault = \"radail\""), HasSubstr("nearest known one is 'radial'"));
  EXPECT_THAT(message("version = 1\ndefault = \"@x.toml\""), HasSubstr("cannot name another"));
  EXPECT_THAT(message("version = 1\n[[plans]]"), HasSubstr("unknown table [plans], expected [[plan]]"));
  EXPECT_THAT(message("version = 1\n[[plan]]"), AllOf(HasSubstr("line 2"), HasSubstr("either 'attn' or 'file'")));
  EXPECT_THAT(message("version = 1\n[[plan]]\nattn = \"dense\"\nfile = \"y\""), HasSubstr("either 'attn' or 'file'"));
  EXPECT_THAT(message("version = 1\n[[plan]]\nattn = \"@x.toml\""), HasSubstr("cannot name another"));
  EXPECT_THAT(message("version = 1\n[[plan]]\nattn = \"radial:decay=9\""), HasSubstr("a number in 0..1"));
  for (const char* bad : {"", "a", "3-1", "-1", "1,,2", "1-2-3", "99999999999999999999"}) {
    EXPECT_THAT(message(fmt::format("version = 1\n[[plan]]\nlayers = \"{}\"\nattn = \"dense\"", bad)), HasSubstr("'layers' is"))
        << bad;
  }
  EXPECT_THAT(message("version = 1\n[[plan]]\nlayers = 3\nattn = \"dense\""), HasSubstr("must be a string"));
  EXPECT_THAT(message("version = 1\n[[plan]]\nbranch = \"both\"\nattn = \"dense\""), HasSubstr("cond | uncond"));
  for (const char* bad : {"../secret", "/etc/passwd", "..", "."}) {
    EXPECT_THAT(message(fmt::format("version = 1\n[[plan]]\nfile = \"{}\"", bad)), HasSubstr("a file of the same folder")) << bad;
  }
  EXPECT_THAT(message("version = 1\n[[plan]]\nfile = \"absent.toml\""), HasSubstr("no such file"));
  EXPECT_THAT(make_policy(fmt::format("@{}", folder_.string())).status().message(), HasSubstr("no such file"));
  EXPECT_THAT(make_policy("@").status().message(), HasSubstr("no such file"));
}

// What entries remember goes through a checkpoint, each entry's to itself, all or nothing.
TEST_F(PlanFile, SavesWhatItsMethodsRemember) {
  auto m = testing::make_machine();
  testing::PolicyClip clip({2, 6, 11}, 2, 8, 1);
  std::string spec = write("a.toml", R"(
version = 1
[[plan]]
layers = "0"
attn = "adaspa:keep=0.4"
[[plan]]
layers = "1"
attn = "adaspa:keep=0.7,block=128,dense_layers=1"
)");
  auto policy = must(make_policy(spec)), other = must(make_policy(spec));
  EXPECT_EQ(policy->needs(), PolicyNeeds::block_mass);
  EXPECT_EQ(policy->save(), "");
  auto steps = [&](AttentionPolicy& p, int64_t begin, int64_t end) {
    std::vector<PlanHash> hashes;
    for (int64_t s = begin; s < end; ++s) {
      for (int64_t layer : {0, 1, 2}) hashes.push_back(must(p.plan(clip.at(s, 50, layer), m->ctx))->hash());
    }
    return hashes;
  };
  steps(*policy, 0, 15);
  std::string state = policy->save();
  EXPECT_FALSE(other->restore(state.substr(0, state.size() - 1)).ok());
  EXPECT_FALSE(other->restore(state + "0\n").ok());
  EXPECT_FALSE(other->restore("7\nadaspa\n0\n0\n").ok());
  EXPECT_FALSE(other->restore("99999999999999999999\n").ok());
  // The first method takes its part, the second does not: neither keeps anything.
  std::string half = state;
  half[half.rfind("adaspa")] = 'x';
  EXPECT_FALSE(other->restore(half).ok());
  EXPECT_EQ(other->save(), "");
  ZT_ASSERT_OK(other->restore(state));
  EXPECT_EQ(other->save(), state);
  EXPECT_EQ(steps(*other, 15, 50), steps(*policy, 15, 50));
  auto fixed = must(make_policy(write("b.toml", "version = 1\n")));
  EXPECT_EQ(fixed->save(), "");
  ZT_ASSERT_OK(fixed->restore(""));
  EXPECT_THAT(fixed->restore("2\nxx").message(), HasSubstr("remembers nothing"));
}

}  // namespace
}  // namespace zt
