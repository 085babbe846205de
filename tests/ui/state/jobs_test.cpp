// The queue: what is posted when, and that nothing that comes back is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/ui/states.h"

namespace zt::ui {
namespace {

using namespace zt::ui::testing;
using ::testing::HasSubstr;

TEST(Jobs, OneRunsTheOthersWaitInOrder) {
  AppState s = fresh_state();
  EXPECT_EQ(of_kind<SubmitJob>(render(s)).size(), 1u);
  EXPECT_TRUE(of_kind<SubmitJob>(render(s)).empty());
  EXPECT_TRUE(of_kind<SubmitJob>(render(s)).empty());
  ASSERT_EQ(s.queue.pending.size(), 2u);
  auto next = of_kind<SubmitJob>(reduce(s, finished(1)));
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0].id, 2u);
}

TEST(Jobs, NamesOfClipsGoOnFromWhatIsInTheFolder) {
  AppState s = fresh_state();
  JobSpec old;
  reduce(s, Action(SetOutputFolder{"/more"}));
  EXPECT_TRUE(of_kind<SubmitJob>(render(s)).empty()) << "the folder has not been looked at yet";
  auto started =
      of_kind<SubmitJob>(reduce(s, DeskAnswer(ClipsListed{"/more", {{"/more/a-red-balloon-0007.mp4", old, nullptr}}, ""})));
  ASSERT_EQ(started.size(), 1u);
  EXPECT_EQ(started[0].spec.output, "/more/a-red-balloon-rises-in-a-blue-sky-0008.mp4");
}

TEST(Jobs, WaitingOnesCanBeMovedCopiedEditedAndRemoved) {
  AppState s = fresh_state();
  for (const char* prompt : {"one", "two", "three", "four"}) {
    reduce(s, Action(SetField{"prompt", prompt}));
    render(s);
  }
  auto prompts = [&] {
    std::string all;
    for (const PendingJob& p : s.queue.pending) all += p.spec.prompt + " ";
    return all;
  };
  EXPECT_EQ(prompts(), "two three four ");
  reduce(s, Action(Move{4, -1}));
  EXPECT_EQ(prompts(), "two four three ");
  reduce(s, Action(Move{2, 100}));
  EXPECT_EQ(prompts(), "four three two ");
  reduce(s, Action(Duplicate{3}));
  EXPECT_EQ(prompts(), "four three three two ");
  reduce(s, Action(Edit{2}));
  EXPECT_EQ(s.form.spec.prompt, "two");
  reduce(s, Action(SetField{"prompt", "two, changed"}));
  render(s);
  EXPECT_EQ(prompts(), "four three three two, changed ");
  reduce(s, Action(Cancel{4}));
  EXPECT_EQ(prompts(), "three three two, changed ");
  EXPECT_EQ(s.queue.running->spec.prompt, "one") << "none of it touches the running job";
}

TEST(Jobs, AnEditedJobThatHasStartedMeanwhileBecomesANewOne) {
  AppState s = fresh_state();
  render(s);
  render(s);
  reduce(s, Action(Edit{2}));
  reduce(s, finished(1));  // 2 starts
  reduce(s, Submitted{2, 2});
  render(s);
  EXPECT_EQ(s.queue.pending.size(), 1u);
  EXPECT_EQ(s.queue.pending[0].id, 3u);
}

TEST(Jobs, CancelReachesTheEngineEvenBeforeItHasAnswered) {
  AppState s = fresh_state();
  reduce(s, Action(Press{"render"}));
  EXPECT_TRUE(of_kind<CancelJob>(reduce(s, Action(Press{"cancel"}))).empty());
  auto cancelled = of_kind<CancelJob>(reduce(s, Submitted{1, 50}));
  ASSERT_EQ(cancelled.size(), 1u);
  EXPECT_EQ(cancelled[0].request, 50u);
  reduce(s, finished(50, ExitCode::interrupted, "cancelled"));
  EXPECT_FALSE(busy(s));
  EXPECT_NE(s.notice.kind, Notice::Kind::error);
}

TEST(Jobs, ACancelledOneIsForgottenUnlessTheWindowCloses) {
  AppState s = fresh_state();
  std::string output = of_kind<SubmitJob>(render(s))[0].spec.output;
  render(s);
  reduce(s, Action(Press{"cancel"}));
  EXPECT_EQ(kept_queue(s)["/clips"].size(), 1u) << "the one that waits";
  auto forgotten = of_kind<ForgetJob>(reduce(s, finished(1, ExitCode::interrupted, "cancelled")));
  ASSERT_EQ(forgotten.size(), 1u);
  EXPECT_EQ(forgotten[0].output, output);
  reduce(s, Submitted{2, 2});
  EXPECT_TRUE(of_kind<ForgetJob>(reduce(s, finished(2, ExitCode::interrupted, "stopped"))).empty()) << "nobody cancelled it";
  render(s);
  render(s);
  EXPECT_EQ(of_kind<ForgetJob>(reduce(s, Action(Cancel{4}))).size(), 1u) << "it may have run in an earlier window";
}

TEST(Jobs, WhatOthersRenderIsNotRenderedAgain) {
  AppState s = fresh_state();
  reduce(s, Action(Press{"render"}));
  for (int i = 0; i < 2; ++i) render(s);
  ASSERT_EQ(s.queue.running->id, 1u);
  auto next = of_kind<SubmitJob>(reduce(s, TakenElsewhere{1}));
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0].id, 2u);
  ASSERT_EQ(s.queue.pending.size(), 2u);
  EXPECT_TRUE(s.queue.pending[1].elsewhere);
  EXPECT_EQ(kept_queue(s)["/clips"].size(), 3u) << "the other may fail yet";
  Effects effects = reduce(s, DoneElsewhere{2});
  EXPECT_EQ(of_kind<LoadClip>(effects).size(), 1u);
  ASSERT_EQ(of_kind<SubmitJob>(effects).size(), 1u);
  reduce(s, Submitted{3, 3});
  EXPECT_TRUE(of_kind<SubmitJob>(reduce(s, finished(3))).empty()) << "only the one elsewhere is left";
  next = of_kind<SubmitJob>(reduce(s, LookAgain{}));
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0].id, 1u);
  reduce(s, DoneElsewhere{1});
  EXPECT_FALSE(busy(s));
  EXPECT_TRUE(kept_queue(s).empty());
}

TEST(Jobs, TenThousandResultsAndNoneIsDropped) {
  AppState s = fresh_state();
  constexpr uint64_t kJobs = 10000;
  for (uint64_t i = 0; i < kJobs; ++i) reduce(s, Action(Press{"render"}));
  for (uint64_t i = 1; i <= kJobs; ++i) {
    reduce(s, Submitted{i, i});
    reduce(s, stepped(i, 1, 20));
    reduce(s, finished(i, i % 7 ? ExitCode::done : ExitCode::failed, "no"));
  }
  ASSERT_EQ(s.queue.finished.size(), kJobs);
  for (uint64_t i = 1; i <= kJobs; ++i) ASSERT_EQ(s.queue.finished[i - 1].request, i);
  EXPECT_FALSE(busy(s));
  EXPECT_EQ(s.gallery.clips.size(), kJobs - kJobs / 7);
}

TEST(Jobs, AFailureSaysWhyAndTheNextOneRuns) {
  AppState s = fresh_state();
  render(s);
  render(s);
  auto next = of_kind<SubmitJob>(reduce(s, finished(1, ExitCode::bad_model, "model: /m does not exist")));
  EXPECT_EQ(next.size(), 1u);
  EXPECT_EQ(s.queue.finished.back().result.error, "model: /m does not exist");
}

TEST(Jobs, EventsOfOtherRequestsChangeNothing) {
  AppState s = fresh_state();
  render(s);
  reduce(s, stepped(1, 3, 20));
  reduce(s, stepped(99, 9, 9));
  reduce(s, Event{99, table(1, 2, 2)});
  EXPECT_EQ(s.queue.running->progress.step, 3);
  EXPECT_TRUE(s.inspector.tables.empty());
}

TEST(Jobs, PinsBecomeAPlanFileThatIsWrittenBeforeTheJobIsPosted) {
  AppState s = fresh_state();
  reduce(s, Action(SetMethod{"radial"}));
  reduce(s, Action(AddPin{{3, 1, "dense"}}));
  reduce(s, Action(AddPin{{3, 1, "window"}}));  // the later one counts
  reduce(s, Action(AddPin{{2, -1, "dense"}}));
  Effects effects = render(s);
  auto written = of_kind<WriteText>(effects);
  auto posted = of_kind<SubmitJob>(effects);
  ASSERT_EQ(written.size(), 1u);
  ASSERT_EQ(posted.size(), 1u);
  EXPECT_TRUE(std::holds_alternative<DeskRequest>(effects.front()));
  EXPECT_EQ(posted[0].spec.attn, "@" + written[0].path);
  EXPECT_THAT(written[0].text, HasSubstr("default = \"radial\""));
  EXPECT_THAT(written[0].text, HasSubstr("layers = \"3\"\nheads = \"1\"\nattn = \"window\""));
  EXPECT_THAT(written[0].text, HasSubstr("layers = \"2\"\nattn = \"dense\""));
}

TEST(Jobs, AMeasuredJobWritesItsReportBesideTheClip) {
  AppState s = fresh_state();
  EXPECT_EQ(of_kind<SubmitJob>(render(s))[0].spec.report, "");
  reduce(s, finished(1));
  reduce(s, Action(Press{"measure"}));
  const JobSpec spec = of_kind<SubmitJob>(render(s))[0].spec;
  EXPECT_EQ(spec.report, "/clips/a-red-balloon-rises-in-a-blue-sky-0002.report.json");
  EXPECT_TRUE(spec.resume);
}

TEST(Jobs, ClosingAsksOnlyWhileOneRunsAndKeepsTheQueue) {
  AppState idle = fresh_state();
  reduce(idle, Action(AskToClose{}));
  EXPECT_TRUE(idle.quit);
  AppState s = fresh_state();
  render(s);
  render(s);
  reduce(s, Action(AskToClose{}));
  EXPECT_FALSE(s.quit);
  EXPECT_EQ(s.dialog, Dialog::close);
  reduce(s, Action(AnswerClose{false}));
  EXPECT_FALSE(s.quit);
  EXPECT_TRUE(s.queue.running) << "the job survives";
  reduce(s, Action(AskToClose{}));
  reduce(s, Action(AnswerClose{true}));
  EXPECT_TRUE(s.quit);
  EXPECT_EQ(kept_queue(s)["/clips"].size(), 2u);
}

TEST(WindowState, SurvivesARestart) {
  AppState s = fresh_state();
  reduce(s, Action(SetField{"prompt", "caf\xc3\xa9 \"quoted\" \\ \n"}));
  reduce(s, Action(SetField{"steps", "7"}));
  reduce(s, Action(Press{"theme"}));
  render(s);
  render(s);
  WindowState read;
  ASSERT_EQ(read_window_state(window_state_text(kept_state(s, 1000, 700)), read), "");
  AppState again = initial_state(method_infos(), read, 1);
  EXPECT_EQ(again.form.spec, s.form.spec);
  EXPECT_TRUE(again.light);
  EXPECT_EQ(read.width, 1000);
  opening_effects(again);
  reduce(again, Action(SetField{"prompt", "added before the folder was read"}));
  EXPECT_TRUE(of_kind<SubmitJob>(render(again)).empty());
  auto waiting = kept_queue(s)["/clips"];
  ASSERT_EQ(waiting.size(), 2u);
  auto started = of_kind<SubmitJob>(reduce(again, DeskAnswer(ClipsListed{"/clips", {}, "", waiting})));
  ASSERT_EQ(started.size(), 1u) << "the queue goes on";
  EXPECT_EQ(started[0].spec, waiting[0]) << "to the same files, from its checkpoint";
  EXPECT_EQ(again.queue.pending.size(), 2u);
  EXPECT_EQ(again.queue.pending[0].spec, waiting[1]);
  EXPECT_THAT(again.queue.pending[1].spec.output, HasSubstr("0003.mp4"));
  reduce(again, DeskAnswer(ClipsListed{"/clips", {}, "", waiting}));
  EXPECT_EQ(again.queue.pending.size(), 2u) << "a second look finds no new ones";
}

TEST(WindowState, DamagedTextLeavesTheDefaults) {
  for (const char* text :
       {"", "{", "[]", "{\"width\": \"wide\"}", "{\"form\": 3}", "{\"form\": {\"steps\": \"x\"}}"}) {
    WindowState state;
    EXPECT_NE(read_window_state(text, state), "") << text;
    EXPECT_EQ(state.form, JobSpec()) << text;
  }
  WindowState state;
  EXPECT_EQ(read_window_state("{\"of a later version\": {}, \"width\": 0}", state), "");
  EXPECT_EQ(state.width, 1);
}

}  // namespace
}  // namespace zt::ui
