#include "app/headless/job_console.h"

#include <unistd.h>

#include <cstdio>

#include "app/engine/engine.h"
#include "app/engine/places.h"
#include "app/headless/event_loop.h"
#include "app/headless/job_record.h"
#include "app/headless/print.h"
#include "app/headless/stop_signals.h"

namespace zt {
namespace {

std::string clock_text(double seconds) {
  int64_t s = int64_t(seconds + 0.5);
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return s >= 60 ? fmt::format("{}:{:02}", s / 60, s % 60) : fmt::format("{:.1f} s", seconds);
}

// Text for people: a bar that redraws itself on a terminal, one line per state and per tenth in a log.
class PlainProgress {
 public:
  explicit PlainProgress(bool terminal) : terminal_(terminal) {}

  void show(const Progress& p) {
    if (is_final(p.state) || p.state == JobState::queued) return;
    std::string what(state_name(p.state));
    if (p.steps > 0) what += fmt::format(" {}/{}", p.step, p.steps);
    std::string left = p.eta_s >= 0 && p.step < p.steps ? ", " + clock_text(p.eta_s) + " left" : "";
    if (terminal_) {
      constexpr int kWidth = 30;
      int full = p.steps > 0 ? int(p.step * kWidth / p.steps) : 0;
      std::string bar = p.steps > 0 ? "[" + std::string(size_t(full), '#') + std::string(size_t(kWidth - full), '.') + "] " : "";
      std::fprintf(stderr, "\r\033[K%s%s%s", bar.c_str(), what.c_str(), left.c_str());
      drawn_ = true;
      return;
    }
    int64_t tenth = p.steps > 0 ? p.step * 10 / p.steps : 0;
    if (p.state == state_ && tenth == tenth_) return;
    state_ = p.state, tenth_ = tenth;
    print_note(fmt::format("[{:8.1f} s] {}{}", p.elapsed_s, what, left));
  }

  // Makes room for a line of text.
  void clear() {
    if (drawn_) std::fputs("\r\033[K", stderr);
    drawn_ = false;
  }

 private:
  bool terminal_, drawn_ = false;
  JobState state_ = JobState::queued;
  int64_t tenth_ = -1;
};

class Console {
 public:
  explicit Console(const JobOptions& o) : options_(o), plain_(isatty(STDERR_FILENO) != 0) {}

  // True when the event was the result.
  bool show(const Event& e) {
    if (const auto* p = std::get_if<Progress>(&e.payload)) {
      if (options_.progress == ProgressMode::plain) plain_.show(*p);
      if (options_.progress == ProgressMode::jsonl && p->state != JobState::queued)
        print_json(progress_record(e.request, *p));
      return false;
    }
    plain_.clear();
    if (const auto* line = std::get_if<std::string>(&e.payload)) {
      print_note(*line);
      return false;
    }
    result_ = std::get<JobResult>(e.payload);
    return true;
  }

  void report(uint64_t request, const JobResult& r) {
    if (r.code != ExitCode::done) print_error(r.error);
    bool record = options_.json || options_.progress == ProgressMode::jsonl;
    if (record) print_json(result_record(request, r));
    if (!record && r.code == ExitCode::done && !r.files.empty()) print_result(r.files.back() + "\n");
    if (r.code == ExitCode::done && options_.progress == ProgressMode::plain) print_summary(r);
  }

  void say(std::string_view line) {
    plain_.clear();
    print_note(line);
  }

  JobResult result() { return std::move(result_); }

 private:
  static void print_summary(const JobResult& r) {
    std::string times;
    for (const auto& [name, value] : r.seconds) {
      if (name != "total") times += fmt::format("{}{} {:.2f} s", times.empty() ? "" : ", ", name, value);
    }
    auto total = r.seconds.find("total");
    print_note(fmt::format("done in {:.2f} s ({}), peak memory {} MiB", total == r.seconds.end() ? 0. : total->second, times,
                           r.peak_mb));
  }

  const JobOptions& options_;
  PlainProgress plain_;
  JobResult result_;
};

}  // namespace

Result<std::shared_ptr<ModelHost>> make_host() {
  ZT_ASSIGN_OR_RETURN(auto machine, Machine::make());
  return std::make_shared<ModelHost>(std::move(machine), find_places());
}

int run_job(std::unique_ptr<JobRunner> runner, const JobOptions& options) {
  JobResult result = run_and_show(std::move(runner), options.spec, options);
  Console(options).report(1, result);
  return int(result.code);
}

JobResult run_and_show(std::unique_ptr<JobRunner> runner, const JobSpec& spec, const JobOptions& options) {
  EventLoop loop;
  if (!loop.ok()) {
    JobResult r;
    r.code = ExitCode::failed, r.error = "the system has no file descriptors left";
    return r;
  }
  Console console(options);
  Engine engine(std::move(runner), loop.wakeup());
  Command submit;
  submit.spec = spec;
  engine.post(std::move(submit));
  StopSignals signals(loop, [&](std::string_view line) { console.say(line); });
  signals.stop(engine);
  for (;;) {
    signals.wait(-1);
    while (auto event = engine.poll()) {
      if (console.show(*event)) return console.result();
    }
  }
}

}  // namespace zt
