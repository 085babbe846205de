#include "app/headless/job_console.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "app/engine/engine.h"
#include "app/headless/job_record.h"
#include "app/engine/places.h"
#include "app/headless/print.h"

namespace zt {
namespace {

struct Descriptor {
  int fd;
  explicit Descriptor(int f) : fd(f) {}
  ~Descriptor() { close(fd); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

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
  Console(const JobOptions& o, std::function<void(const JobResult&)> on_result)
      : options_(o), on_result_(std::move(on_result)), plain_(isatty(STDERR_FILENO) != 0) {}

  // True when the event was the result.
  bool show(const Event& e) {
    if (const auto* p = std::get_if<Progress>(&e.payload)) {
      if (options_.progress == ProgressMode::plain) plain_.show(*p);
      if (options_.progress == ProgressMode::jsonl && p->state != JobState::queued)
        print_result(progress_record(e.request, *p).dump() + "\n");
      return false;
    }
    plain_.clear();
    if (const auto* line = std::get_if<std::string>(&e.payload)) {
      print_note(*line);
      return false;
    }
    const auto& r = std::get<JobResult>(e.payload);
    code_ = int(r.code);
    if (r.code != ExitCode::done) print_error(r.error);
    if (on_result_) {
      on_result_(r);
      return true;
    }
    bool record = options_.json || options_.progress == ProgressMode::jsonl;
    if (record) print_result(result_record(e.request, r).dump() + "\n");
    if (!record && r.code == ExitCode::done && !r.files.empty()) print_result(r.files.back() + "\n");
    if (r.code == ExitCode::done && options_.progress == ProgressMode::plain) print_summary(r);
    return true;
  }

  void say(std::string_view line) {
    plain_.clear();
    print_note(line);
  }

  int code() const { return code_; }

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
  std::function<void(const JobResult&)> on_result_;
  PlainProgress plain_;
  int code_ = int(ExitCode::failed);
};

}  // namespace

Result<std::shared_ptr<ModelHost>> make_host() {
  ZT_ASSIGN_OR_RETURN(auto machine, Machine::make());
  return std::make_shared<ModelHost>(std::move(machine), find_places());
}

int run_job(std::unique_ptr<JobRunner> runner, const JobOptions& options, std::function<void(const JobResult&)> on_result) {
  // Blocked before the first thread starts, so that every thread inherits it and the signals are read here alone.
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGINT);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  Descriptor signals(signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK)), wakeups(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (signals.fd < 0 || wakeups.fd < 0) {
    print_error("the system has no file descriptors left");
    return int(ExitCode::failed);
  }

  Console console(options, std::move(on_result));
  Engine engine(std::move(runner), [fd = wakeups.fd] {
    uint64_t one = 1;
    (void)!write(fd, &one, sizeof one);  // full means a wakeup is pending already
  });
  Command submit;
  submit.spec = options.spec;
  engine.post(std::move(submit));
  bool stopping = false;
  for (;;) {
    pollfd fds[2] = {{wakeups.fd, POLLIN, 0}, {signals.fd, POLLIN, 0}};
    (void)poll(fds, 2, -1);
    uint64_t count = 0;
    (void)!read(wakeups.fd, &count, sizeof count);
    while (auto event = engine.poll()) {
      if (console.show(*event)) return console.code();
    }
    signalfd_siginfo info;
    while (read(signals.fd, &info, sizeof info) == ssize_t(sizeof info)) {
      // The next run removes what is left behind here.
      if (stopping) _exit(int(ExitCode::interrupted));
      stopping = true;
      console.say("stopping; once more stops at once");
      Command cancel;
      cancel.kind = Command::Kind::cancel_all;
      engine.post(std::move(cancel));
    }
  }
}

}  // namespace zt
