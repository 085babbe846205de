#include "app/headless/batch_view.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "app/headless/job_record.h"
#include "app/headless/print.h"

namespace zt {
namespace {

std::string duration(double seconds) {
  int64_t s = int64_t(seconds + 0.5);
  return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60) : fmt::format("{}:{:02}", s / 60, s % 60);
}

}  // namespace

BatchView::BatchView(const JobOptions& options, const std::string& results, std::span<const BatchItem> items)
    : options_(options), items_(items), wants_file_(!results.empty()), terminal_(isatty(STDERR_FILENO) != 0) {
  // People look at a terminal, programs at anything else.
  jsonl_ = options.progress_given ? options.progress == ProgressMode::jsonl : !terminal_;
  plain_ = options.progress_given ? options.progress == ProgressMode::plain : terminal_;
  records_ = jsonl_ || options.json || isatty(STDOUT_FILENO) == 0;
  // Appended line by line, so that what is there is whole whenever the machine dies, and several workers may share one file.
  if (wants_file_) file_ = open(results.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666);
}

BatchView::~BatchView() {
  clear();
  if (file_ >= 0) close(file_);
}

size_t BatchView::count(bool done) const {
  size_t n = 0;
  for (const BatchItem& i : items_) n += done ? i.done : i.result && i.result->code != ExitCode::done;
  return n;
}

void BatchView::record(const nlohmann::ordered_json& json) {
  std::string line = json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  if (records_) print_result(line);
  if (file_ >= 0) (void)!write(file_, line.data(), line.size()), fsync(file_);
}

void BatchView::clear() {
  if (drawn_) std::fputs("\r\033[K", stderr);
  drawn_ = false;
}

void BatchView::draw(const std::string& now) {
  if (!plain_ || !terminal_) return;
  double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  size_t done = count(true), failed = count(false), made = done > found_ ? done - found_ : 0, left = items_.size() - done - failed;
  constexpr size_t kWidth = 24;
  size_t full = items_.empty() ? kWidth : (done + failed) * kWidth / items_.size();
  std::string eta = made > 0 ? ", " + duration(elapsed / double(made) * double(left)) + " left" : "";
  std::string line = fmt::format("[{}{}] {}/{}{}, {}{}  {}", std::string(full, '#'), std::string(kWidth - full, '.'), done, items_.size(),
                                 failed ? fmt::format(", {} failed", failed) : "", duration(elapsed), eta, now);
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  drawn_ = true;
}

void BatchView::say(const std::string& line) {
  clear();
  print_note(line);
}

void BatchView::begin(const BatchItem& item) {
  waits_ = false;
  if (plain_ && !terminal_) say(fmt::format("job {}: {}", item.number, item.spec.output));
}

void BatchView::progress(const BatchItem& item, const Progress& p) {
  if (p.state == JobState::queued) return;
  if (jsonl_) print_json(progress_record(item.number, p));
  std::string what(state_name(p.state));
  if (p.steps > 0) what += fmt::format(" {}/{}", p.step, p.steps);
  draw(fmt::format("job {} {}", item.number, what));
}

void BatchView::note(const BatchItem& item, const std::string& line) {
  // Each job's memory line would drown what matters.
  if (line.starts_with("memory:")) return;
  say(fmt::format("job {}: {}", item.number, line));
}

void BatchView::result(const BatchItem& item) {
  const JobResult& r = *item.result;
  auto total = r.seconds.find("total");
  record(result_record(item.number, r));
  if (r.code != ExitCode::done) {
    say(fmt::format("job {} ({}): {}", item.number, item.place, r.error));
  } else if (plain_ && !terminal_) {
    say(fmt::format("job {}: done in {:.1f} s, {}", item.number, total == r.seconds.end() ? 0. : total->second, item.spec.output));
  }
  draw("");
}

void BatchView::found(const BatchItem& item) {
  ++found_;
  nlohmann::ordered_json j;
  j["job"] = item.number, j["phase"] = "done", j["exit_code"] = 0, j["skipped"] = true, j["output"] = item.spec.output;
  j["settings_hash"] = item.settings_hash;
  record(j);
}

void BatchView::waiting() {
  if (!waits_ && plain_ && !terminal_) say("waiting for the jobs of other workers");
  waits_ = true;
  draw("waiting for other workers");
}

void BatchView::summary(bool interrupted) {
  clear();
  nlohmann::ordered_json j;
  size_t done = count(true), failed = count(false);
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  j["t"] = double(int64_t(seconds * 1e3)) / 1e3;
  j["phase"] = interrupted ? "cancelled" : failed ? "failed" : "done";
  j["jobs"] = items_.size(), j["done"] = done, j["skipped"] = found_, j["failed"] = failed;
  record(j);
  if (options_.progress == ProgressMode::none) return;
  print_note(fmt::format("{} of {} jobs done ({} before this run), {} failed, {:.1f} s{}", done, items_.size(), found_, failed, seconds,
                         interrupted ? "; stopped, the same command goes on" : ""));
}

}  // namespace zt
