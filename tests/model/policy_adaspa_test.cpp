// AdaSpa: when it searches, what it gives each head, what it remembers, and its saved state under hostile bytes.
#include <gmock/gmock.h>

#include <algorithm>

#include "model/policy/block_choice.h"
#include "tests/model/policy_support.h"

namespace zt {
namespace {

using namespace zt::testing;
using ::testing::HasSubstr;

PlanPtr step_of(AttentionPolicy& policy, const PolicyClip& clip, int64_t step, int64_t steps, const Machine& m, int64_t layer = 0,
                Branch branch = Branch::cond) {
  return must(policy.plan(clip.at(step, steps, layer, branch), m.ctx));
}

TEST(AdaSpa, SearchesAtTenAndThirtyOfFifty) {
  auto m = make_machine();
  PolicyClip first({2, 6, 11}, 2, 8, 1), second({2, 6, 11}, 2, 8, 2);
  auto policy = must(make_policy("adaspa:keep=0.4"));
  PlanPtr early, late;
  for (int64_t step = 0; step < 50; ++step) {
    // Other queries and keys at every step: only a search may look at them.
    const PolicyClip& clip = step == 10 ? first : step == 30 ? second : step % 2 ? first : second;
    PlanPtr plan = step_of(*policy, clip, step, 50, *m);
    if (step <= 10 || step == 30) {
      EXPECT_TRUE(plan->is_dense()) << step;
      continue;
    }
    PlanPtr& known = step < 30 ? early : late;
    if (!known) known = plan;
    EXPECT_EQ(plan, known) << step;
    EXPECT_EQ(plan->parts().valid_until, step < 30 ? 29 : 49);
  }
  EXPECT_NE(early->hash(), late->hash());
  EXPECT_EQ(early->parts().cols, plan_once("adaspa:keep=0.4", first.at(), m->ctx)->parts().cols);
}

TEST(AdaSpa, TheLastStepIsNotSearched) {
  auto m = make_machine();
  PolicyClip clip({2, 6, 11}, 2, 8, 1);
  auto policy = must(make_policy("adaspa"));
  for (int64_t step = 0; step < 8; ++step) {  // due at 1, 4 and 7
    PlanPtr plan = step_of(*policy, clip, step, 8, *m);
    EXPECT_EQ(plan->is_dense(), step <= 1 || step == 4) << step;
    EXPECT_GE(plan->parts().valid_until, step);
  }
}

TEST(AdaSpa, LaterSearchesTakeTheFirstLogSumExps) {
  auto m = make_machine();
  PolicyClip first({4, 8, 14}, 2, 8, 1), second({4, 8, 14}, 2, 8, 2);
  for (bool reuse : {true, false}) {
    auto policy = must(make_policy(fmt::format("adaspa:keep=0.4,lse={}", reuse ? "reuse" : "fresh")));
    step_of(*policy, first, 10, 50, *m);
    step_of(*policy, second, 30, 50, *m);
    PlanPtr plan = step_of(*policy, second, 31, 50, *m), alone = plan_once("adaspa:keep=0.4", second.at(), m->ctx);
    // A stale log-sum-exp scales each query's probabilities by its own factor, which moves choices and budgets.
    EXPECT_EQ(plan->parts().cols == alone->parts().cols, !reuse);
  }
}

TEST(AdaSpa, OneStepOrALookPlansAtOnce) {
  auto m = make_machine();
  PolicyClip clip({2, 6, 11}, 2, 8, 1);
  EXPECT_FALSE(plan_once("adaspa", clip.at(0, 1), m->ctx)->is_dense());
  auto policy = must(make_policy("adaspa:dense_steps=12"));
  PolicyInput in = clip.at(3, 50);
  in.past_warm_up = true;
  PlanPtr plan = must(policy->plan(in, m->ctx));
  EXPECT_FALSE(plan->is_dense());
  EXPECT_GE(plan->parts().valid_until, 3);
}

TEST(AdaSpa, ADensePrefixMakesTheSearchLate) {
  auto m = make_machine();
  PolicyClip clip({2, 6, 11}, 2, 8, 1);
  auto policy = must(make_policy("adaspa:dense_steps=14"));
  for (int64_t step = 0; step < 20; ++step) EXPECT_EQ(step_of(*policy, clip, step, 50, *m)->is_dense(), step <= 14) << step;
  // Both due searches passed over: one makes up for them.
  auto later = must(make_policy("adaspa:dense_steps=35"));
  for (int64_t step = 0; step < 50; ++step) EXPECT_EQ(step_of(*later, clip, step, 50, *m)->is_dense(), step <= 35) << step;
}

TEST(AdaSpa, LayersAndBranchesRememberApart) {
  auto m = make_machine();
  PolicyClip clip({2, 6, 11}, 2, 8, 1);
  auto policy = must(make_policy("adaspa"));
  step_of(*policy, clip, 10, 50, *m, 0, Branch::cond);
  EXPECT_FALSE(step_of(*policy, clip, 11, 50, *m, 0, Branch::cond)->is_dense());
  EXPECT_TRUE(step_of(*policy, clip, 11, 50, *m, 0, Branch::uncond)->is_dense());
  EXPECT_TRUE(step_of(*policy, clip, 11, 50, *m, 1, Branch::cond)->is_dense());
  PolicyClip larger({2, 6, 12}, 2, 8, 1);
  EXPECT_TRUE(step_of(*policy, larger, 12, 50, *m)->is_dense()) << "another clip is not served from memory";
}

// Heads with attention on one block, heads with flat attention: the first give half of their budget to the others.
TEST(AdaSpa, BudgetsMoveToHeadsThatNeedThem) {
  auto m = make_machine();
  const int64_t n = 640, d = 16;  // ten blocks of 64
  Tensor t = must(m->arena.zeros(DType::f32, {3, 5, n, d}));
  auto at = [&](int64_t which, int64_t h, int64_t i, int64_t c) -> float& {
    return t.as<float>()[((which * 5 + h) * n + i) * d + c];
  };
  for (int64_t h : {1, 4}) {
    for (int64_t i = 0; i < n; ++i) at(0, h, i, i / 64) = 6, at(1, h, i, i / 64) = 6;  // logit 9 in the own block, 0 elsewhere
  }
  PolicyInput in;
  in.site.grid = {10, 8, 8};
  in.heads = 5;
  in.q = t.view().slice(0, 0, 1), in.k = t.view().slice(0, 1, 1), in.v = t.view().slice(0, 2, 1);
  auto counts = [&](const std::string& spec) {
    PlanPtr plan = plan_once(spec, in, m->ctx);
    std::vector<int64_t> c;
    for (int64_t h = 0; h < 5; ++h) {
      for (int64_t r = 0; r < 10; ++r)
        EXPECT_EQ(plan->row(h, r).cols.size(), plan->row(h, 0).cols.size()) << "a row keeps what every row keeps";
      c.push_back(int64_t(plan->row(h, 0).cols.size()));
    }
    return c;
  };
  EXPECT_EQ(counts("adaspa:keep=0.4,adapt=0"), (std::vector<int64_t>{4, 4, 4, 4, 4}));
  // Heads 1 and 4 have recall near 1, the others 0.4: of those the last two, as ties stand by number.
  EXPECT_EQ(counts("adaspa:keep=0.4"), (std::vector<int64_t>{4, 2, 6, 6, 2}));
  EXPECT_EQ(counts("adaspa"), (std::vector<int64_t>{2, 1, 3, 3, 1}));
  // 0.7 + 0.35 would be more than everything: both move by 0.3.
  EXPECT_EQ(counts("adaspa:keep=0.7"), (std::vector<int64_t>{7, 4, 10, 10, 4}));
  // At 0.9 flat heads pass 0.8 as well; at most half of the heads give.
  EXPECT_EQ(counts("adaspa:keep=0.9"), (std::vector<int64_t>{9, 8, 10, 10, 8}));
  EXPECT_EQ(counts("adaspa:keep=1"), (std::vector<int64_t>{10, 10, 10, 10, 10}));
  // One head above 0.8, four at 0.4: one gives to one.
  for (int64_t i = 0; i < n; ++i) at(0, 4, i, i / 64) = 0, at(1, 4, i, i / 64) = 0;
  EXPECT_EQ(counts("adaspa:keep=0.4"), (std::vector<int64_t>{4, 2, 4, 4, 6}));
}

struct Saved {
  std::unique_ptr<Machine> m = make_machine();
  PolicyClip first{{2, 6, 11}, 2, 8, 1}, second{{2, 6, 11}, 2, 8, 2};
  std::shared_ptr<AttentionPolicy> policy;
  explicit Saved(const std::string& spec = "adaspa:keep=0.4,dense_last_steps=1") : policy(must(make_policy(spec))) {}
  std::vector<PlanHash> steps(AttentionPolicy& p, int64_t begin, int64_t end) {
    std::vector<PlanHash> hashes;
    for (int64_t s = begin; s < end; ++s) {
      for (int64_t layer : {0, 3}) {
        for (Branch b : {Branch::cond, Branch::uncond}) {
          const PolicyClip& clip = (s + layer + int64_t(b)) % 2 ? first : second;
          hashes.push_back(step_of(p, clip, s, 50, *m, layer, b)->hash());
        }
      }
    }
    return hashes;
  }
};

TEST(AdaSpa, RestoredGoesOnAsIfItHadNeverStopped) {
  for (int64_t stop : {0, 5, 10, 11, 20, 30, 31, 45}) {
    Saved s;
    s.steps(*s.policy, 0, stop);
    std::string state = s.policy->save();
    auto other = must(make_policy("adaspa:keep=0.4,dense_last_steps=1"));
    ZT_ASSERT_OK(other->restore(state));
    EXPECT_EQ(other->save(), state);
    EXPECT_EQ(s.steps(*other, stop, 50), s.steps(*s.policy, stop, 50)) << stop;
    EXPECT_EQ(other->save(), s.policy->save());
  }
  // Nothing remembered restores to nothing remembered.
  Saved s;
  s.steps(*s.policy, 0, 20);
  ZT_ASSERT_OK(s.policy->restore(""));
  EXPECT_EQ(s.policy->save(), must(make_policy("adaspa"))->save());
}

TEST(AdaSpa, HostileStateIsRefusedAndChangesNothing) {
  Saved s;
  s.steps(*s.policy, 0, 12);
  const std::string state = s.policy->save();
  auto victim = must(make_policy("adaspa:keep=0.4"));
  ZT_ASSERT_OK(victim->restore(state));
  auto refused = [&](const std::string& bytes, const char* why) {
    Status r = victim->restore(bytes);
    ASSERT_FALSE(r.ok()) << why;
    EXPECT_EQ(r.code(), Code::kInvalid);
    EXPECT_EQ(r.message().find('\n'), std::string::npos);
    EXPECT_EQ(victim->save(), state) << why;
  };
  for (size_t cut = 1; cut < state.size(); cut += cut < 400 ? 1 : 997) refused(state.substr(0, cut), "cut short");
  refused(state + "x", "longer");
  refused("svg" + state, "another magic");
  refused(std::string(1000, '\xff'), "noise");
  const size_t version = 7, count = version + 8, layer = count + 8, branch = layer + 8, contents = branch + 16,
               horizon = contents + 8;
  auto with = [&](size_t at, int64_t value) {
    std::string bytes = state;
    std::memcpy(bytes.data() + at, &value, 8);
    return bytes;
  };
  for (int64_t bad : {int64_t(0), int64_t(2), int64_t(-1)}) refused(with(version, bad), "version");
  for (int64_t bad : {int64_t(-1), int64_t(5), int64_t(1) << 40, int64_t(1) << 62}) {
    for (size_t at : {count, branch, contents, horizon + 8, horizon + 16, horizon + 24}) {
      if (at == contents && bad == -1) continue;
      refused(with(at, bad), "a number out of range");
    }
  }
  refused(with(layer, -1), "layer");
  refused(with(horizon, -1), "horizon");
  std::string empty_row = state;
  std::fill_n(empty_row.begin() + int64_t(horizon) + 32, 2, '\0');  // 2 heads x 3 x 3 bits
  refused(empty_row, "rows without a key");
  // Any bytes: refused or taken, never worse.
  Random r(9);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = state;
    for (int64_t n = 1 + r.below(3); n > 0; --n)
      bytes[size_t(r.below(round % 2 ? 200 : int64_t(bytes.size())))] = char(r.below(256));
    auto target = must(make_policy("adaspa:keep=0.4"));
    Status got = target->restore(bytes);
    if (got.ok()) target->save();
  }
}

}  // namespace
}  // namespace zt
