// The queue with a stub in place of the model: order, progress, cancel at any time, errors as results.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <random>
#include <thread>

#include "app/engine/engine.h"

namespace zt {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

// "Denoises" spec.steps steps of a millisecond; the prompt says how it ends.
class StubRunner : public JobRunner {
 public:
  explicit StubRunner(std::vector<std::string>* order = nullptr) : order_(order) {}
  JobResult run(const JobSpec& spec, const JobControl& control) override {
    if (order_) order_->push_back(spec.prompt);
    JobResult r;
    r.spec = spec;
    if (spec.prompt == "bug") throw std::logic_error("a bug");
    if (spec.prompt == "memory") throw std::bad_alloc();
    control.note("started " + spec.prompt);
    for (int64_t i = 1; i <= spec.steps; ++i) {
      if (control.cancel->load()) {
        r.code = ExitCode::interrupted, r.error = "cancelled";
        return r;
      }
      std::this_thread::sleep_for(1ms);
      Progress p;
      p.state = JobState::denoising, p.step = i, p.steps = spec.steps;
      control.progress(p);
    }
    r.files.push_back(spec.output);
    return r;
  }

 private:
  std::vector<std::string>* order_;
};

Command submit(const std::string& prompt, int64_t steps = 3) {
  Command c;
  c.spec.prompt = prompt, c.spec.steps = steps, c.spec.output = prompt + ".mp4";
  return c;
}

// Results by request, until there are `count`.
std::map<uint64_t, JobResult> wait_results(Engine& engine, size_t count, std::vector<Event>* all = nullptr) {
  std::map<uint64_t, JobResult> results;
  auto deadline = std::chrono::steady_clock::now() + 30s;
  while (results.size() < count && std::chrono::steady_clock::now() < deadline) {
    auto e = engine.poll();
    if (!e) {
      std::this_thread::sleep_for(1ms);
      continue;
    }
    if (all) all->push_back(*e);
    if (auto* r = std::get_if<JobResult>(&e->payload)) {
      EXPECT_TRUE(results.emplace(e->request, *r).second) << "two results";
    }
  }
  EXPECT_EQ(results.size(), count);
  return results;
}

TEST(Engine, RunsJobsInOrderAndReportsEach) {
  std::vector<std::string> order;
  Engine engine(std::make_unique<StubRunner>(&order));
  uint64_t a = engine.post(submit("a")), b = engine.post(submit("b")), c = engine.post(submit("c"));
  EXPECT_LT(a, b);
  EXPECT_LT(b, c);
  auto results = wait_results(engine, 3);
  EXPECT_EQ(order, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(results[b].files, (std::vector<std::string>{"b.mp4"}));
  EXPECT_TRUE(engine.snapshot().jobs.empty());
}

TEST(Engine, ProgressIsTheNewestAndTheResultIsLast) {
  std::atomic<int> wakeups{0};
  Engine engine(std::make_unique<StubRunner>(), [&] { ++wakeups; });
  engine.post(submit("a", 50));
  std::this_thread::sleep_for(200ms);
  std::vector<Event> events;
  wait_results(engine, 1, &events);
  EXPECT_LT(events.size(), 60u);
  EXPECT_GT(wakeups, 50);
  EXPECT_TRUE(std::holds_alternative<JobResult>(events.back().payload));
  int64_t step = -1;
  for (const Event& e : events) {
    if (auto* p = std::get_if<Progress>(&e.payload)) {
      EXPECT_GE(p->step, step);
      step = p->step;
    }
  }
  EXPECT_EQ(step, 50);
}

TEST(Engine, ExceptionsFailTheJobAndTheNextOneRuns) {
  Engine engine(std::make_unique<StubRunner>());
  uint64_t bug = engine.post(submit("bug")), memory = engine.post(submit("memory")), good = engine.post(submit("good"));
  auto results = wait_results(engine, 3);
  EXPECT_EQ(results[bug].code, ExitCode::failed);
  EXPECT_THAT(results[bug].error, HasSubstr("a bug"));
  EXPECT_EQ(results[memory].code, ExitCode::too_big);
  EXPECT_EQ(results[good].code, ExitCode::done);
}

TEST(Engine, CancelStopsTheRunningAndDropsTheWaiting) {
  Engine engine(std::make_unique<StubRunner>());
  uint64_t long_job = engine.post(submit("long", 100000)), waiting = engine.post(submit("waiting"));
  Command cancel;
  cancel.kind = Command::Kind::cancel, cancel.request = waiting;
  engine.post(cancel);
  EXPECT_EQ(wait_results(engine, 1)[waiting].code, ExitCode::interrupted);
  cancel.request = long_job;
  engine.post(cancel);
  EXPECT_EQ(wait_results(engine, 1)[long_job].code, ExitCode::interrupted);
  engine.post(submit("next"));
  EXPECT_EQ(wait_results(engine, 1).begin()->second.code, ExitCode::done);
}

TEST(Engine, CancelAtAnyTimeGivesOneResultAJob) {
  std::mt19937 random(7);
  Engine engine(std::make_unique<StubRunner>());
  for (int round = 0; round < 100; ++round) {
    size_t jobs = 1 + random() % 3;
    for (size_t i = 0; i < jobs; ++i) engine.post(submit("j", int64_t(random() % 5)));
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 8000));
    Command cancel;
    cancel.kind = Command::Kind::cancel_all;
    engine.post(cancel);
    for (auto& [request, r] : wait_results(engine, jobs))
      EXPECT_TRUE(r.code == ExitCode::done || r.code == ExitCode::interrupted);
  }
}

TEST(Engine, DestructorStopsALongJob) {
  auto begin = std::chrono::steady_clock::now();
  {
    Engine engine(std::make_unique<StubRunner>());
    engine.post(submit("long", 1000000));
    engine.post(submit("waiting"));
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
}

TEST(Engine, ManyThreadsMayPostAndLook) {
  Engine engine(std::make_unique<StubRunner>());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i) engine.post(submit("x", 1)), (void)engine.snapshot();
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(wait_results(engine, 40).size(), 40u);
}

// A job called "rest" leaves its end for later: it lasts until another job has begun, or half a second when none does.
struct RestsSeen {
  std::atomic<int> begun{0}, ended{0}, ended_before{-1};
  std::atomic<bool> beside{false};
};

class RestRunner final : public StubRunner {
 public:
  explicit RestRunner(RestsSeen& seen) : seen_(seen) {}
  JobResult begin(const JobSpec& spec, const JobControl& control, JobRest& rest) override {
    int number = ++seen_.begun;
    if (spec.prompt == "settle") control.settle();
    if (spec.prompt == "settle" || spec.prompt == "look") seen_.ended_before = seen_.ended.load();
    JobResult r = run(spec, control);
    if (!spec.prompt.starts_with("rest")) return r;
    rest = [&seen = seen_, r, bug = spec.prompt == "rest, bug", number] {
      for (int i = 0; i < 500 && seen.begun == number; ++i) std::this_thread::sleep_for(1ms);
      seen.beside = seen.begun > number, ++seen.ended;
      if (bug) throw std::logic_error("a bug");
      return r;
    };
    return {};
  }

 private:
  RestsSeen& seen_;
};

class EngineRest : public ::testing::Test {
 protected:
  RestsSeen seen_;
  std::unique_ptr<Engine> engine_ = std::make_unique<Engine>(std::make_unique<RestRunner>(seen_));
};

TEST_F(EngineRest, RunsBesideTheNextJobAndIsReportedBeforeIt) {
  uint64_t a = engine_->post(submit("rest")), b = engine_->post(submit("next", 20));
  std::vector<Event> events;
  auto results = wait_results(*engine_, 2, &events);
  EXPECT_TRUE(seen_.beside);
  EXPECT_EQ(results[a].files, (std::vector<std::string>{"rest.mp4"}));
  EXPECT_EQ(results[b].code, ExitCode::done);
  std::vector<uint64_t> order;
  for (const Event& e : events) {
    if (std::holds_alternative<JobResult>(e.payload)) order.push_back(e.request);
  }
  EXPECT_EQ(order, (std::vector<uint64_t>{a, b}));
}

TEST_F(EngineRest, OneAtATime) {
  for (const char* name : {"rest", "rest, again", "rest, bug"}) engine_->post(submit(name, 1));
  uint64_t last = engine_->post(submit("look", 1));
  auto results = wait_results(*engine_, 4);
  EXPECT_EQ(seen_.ended, 3);
  EXPECT_GE(seen_.ended_before, 2) << "the third waits for the second";
  EXPECT_EQ(results[last - 1].code, ExitCode::failed);
  EXPECT_THAT(results[last - 1].error, HasSubstr("a bug"));
  EXPECT_EQ(results[last].code, ExitCode::done);
}

TEST_F(EngineRest, AJobThatAsksWaitsForIt) {
  engine_->post(submit("rest")), engine_->post(submit("settle"));
  wait_results(*engine_, 2);
  EXPECT_EQ(seen_.ended_before, 1);
}

TEST_F(EngineRest, AJobWithTheSameOutputWaitsForIt) {
  engine_->post(submit("rest"));
  Command same = submit("look");
  same.spec.report = "rest.mp4";
  engine_->post(same);
  wait_results(*engine_, 2);
  EXPECT_FALSE(seen_.beside);
  EXPECT_EQ(seen_.ended_before, 1);
}

TEST_F(EngineRest, IsNeitherCancelledNorCutShort) {
  uint64_t a = engine_->post(submit("rest")), b = engine_->post(submit("long", 100000));
  while (seen_.begun < 2) std::this_thread::sleep_for(1ms);
  Command cancel;
  cancel.kind = Command::Kind::cancel_all;
  engine_->post(cancel);
  auto results = wait_results(*engine_, 2);
  EXPECT_EQ(results[a].code, ExitCode::done);
  EXPECT_EQ(results[b].code, ExitCode::interrupted);
  engine_->post(submit("rest"));
  for (Snapshot s = engine_->snapshot(); !s.jobs.empty() && s.jobs[0].progress.step < 3; s = engine_->snapshot()) {
    std::this_thread::sleep_for(1ms);
  }
  std::this_thread::sleep_for(20ms);  // into the rest
  EXPECT_EQ(engine_->snapshot().jobs.size(), 1u) << "a job is there until its result is";
  EXPECT_EQ(seen_.ended, 1);
  engine_.reset();
  EXPECT_EQ(seen_.ended, 2);
}

}  // namespace
}  // namespace zt
