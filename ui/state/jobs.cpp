#include <algorithm>
#include <cctype>
#include <charconv>

#include "app/session/sha256.h"
#include "ui/state/parts.h"

namespace zt::ui {
namespace {

// Lower-case words of the prompt with dashes: a file name that says what is in it.
std::string slug(std::string_view prompt) {
  constexpr size_t kLongest = 40;
  std::string out;
  for (char c : prompt) {
    if (out.size() >= kLongest) break;
    if (std::isalnum(static_cast<unsigned char>(c))) {
      out += char(std::tolower(static_cast<unsigned char>(c)));
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
  }
  while (out.ends_with('-')) out.pop_back();
  return out.empty() ? "clip" : out;
}

std::string new_output(AppState& s, const JobSpec& spec) {
  std::string number = std::to_string(++s.gallery.last_number);
  if (number.size() < 4) number.insert(0, 4 - number.size(), '0');
  return s.output_folder + "/" + slug(spec.prompt) + "-" + number + ".mp4";
}

std::deque<PendingJob>::iterator find_pending(AppState& s, uint64_t id) {
  return std::find_if(s.queue.pending.begin(), s.queue.pending.end(), [&](const PendingJob& p) { return p.id == id; });
}

bool known(const AppState& s, const std::string& output) {
  const Queue& q = s.queue;
  if (q.running && q.running->spec.output == output) return true;
  return std::any_of(q.pending.begin(), q.pending.end(), [&](const PendingJob& p) { return p.spec.output == output; }) ||
         std::any_of(q.finished.begin(), q.finished.end(), [&](const FinishedJob& f) { return f.result.spec.output == output; });
}

// The name of a report that follows from its clip's, which is given when the job starts.
constexpr const char* kBesideTheClip = "beside the clip";

// Waiting jobs get their names once it is known which are free, so that whoever takes the job makes the same files.
void name_job(AppState& s, JobSpec& spec) {
  if (!s.gallery.listed) return;
  // A window that is closed, or falls, leaves a checkpoint; the next start goes on from it.
  constexpr int64_t kCheckpointSteps = 5;
  if (spec.output.empty()) spec.output = new_output(s, spec);
  if (spec.report == kBesideTheClip) spec.report = spec.output.substr(0, spec.output.rfind('.')) + ".report.json";
  if (spec.checkpoint_every == 0) spec.checkpoint_every = kCheckpointSteps;
  spec.resume = true;
}

void show_new_clip(AppState& s, const std::string& path, const JobSpec& spec, Effects& effects) {
  s.gallery.clips.push_front({path, spec, nullptr});
  effects.push_back(DeskRequest(LoadClip{path, 0}));
  say(s, Notice::Kind::info, "done: " + path);
}

void take_result(AppState& s, uint64_t request, const JobResult& r, Effects& effects) {
  s.queue.finished.push_back({request, r});
  // Times belong to what was asked for, as the form will ask again: in the result, `auto` is settled.
  std::string key = work_key(r.spec);
  if (s.queue.running && s.queue.running->request == request) {
    key = work_key(s.queue.running->spec);
    // Only a closed window goes on with a stopped job.
    if (s.queue.running->cancelling && r.code == ExitCode::interrupted)
      effects.push_back(ForgetJob{s.queue.running->spec.output});
    s.queue.running.reset();
  }
  if (r.code == ExitCode::interrupted) return say(s, Notice::Kind::info, "cancelled");
  if (r.code != ExitCode::done) return say(s, Notice::Kind::error, r.error);
  constexpr size_t kRemembered = 500;
  if (s.step_seconds.size() >= kRemembered) s.step_seconds.clear();
  auto denoising = r.seconds.find("denoising"), decoding = r.seconds.find("decoding");
  if (denoising != r.seconds.end() && r.spec.steps > 0) s.step_seconds[key] = denoising->second / double(r.spec.steps);
  if (decoding != r.seconds.end()) s.step_seconds[key + " decode"] = decoding->second;
  if (r.files.empty()) return;
  show_new_clip(s, r.files.back(), r.spec, effects);
}

}  // namespace

void note_clip_name(AppState& s, const std::string& path) {
  size_t dot = path.rfind('.'), dash = path.rfind('-', dot);
  int64_t n = 0;
  if (dot == std::string::npos || dash == std::string::npos) return;
  auto [end, error] = std::from_chars(path.data() + dash + 1, path.data() + dot, n);
  constexpr int64_t kMost = 1000000000;  // beyond that it is not one of ours
  if (error == std::errc() && end == path.data() + dot && n < kMost) s.gallery.last_number = std::max(s.gallery.last_number, n);
}

Effects render(AppState& s) {
  if (!s.form.seed_locked) roll_seed(s);
  PendingJob job;
  job.spec = s.form.spec;
  job.spec.report = s.form.measure ? kBesideTheClip : "";
  Problem problem = check_method(s.form.method, s.methods);
  if (problem.empty() && !s.form.pins.empty() && s.form.method.name == kPlanFile)
    problem = "pins change a method, not a plan file: choose a method or clear the pins";
  if (problem.empty()) problem = validate(job.spec);
  if (!problem.empty()) return say(s, Notice::Kind::error, problem), Effects();
  Effects effects;
  if (!s.form.pins.empty()) {
    std::string text = plan_file_text(job.spec.attn, s.form.pins);
    std::string path = s.state_folder + "/plans/pins-" + sha256_hex(text).substr(0, 16) + ".toml";
    job.spec.attn = "@" + path;
    effects.push_back(DeskRequest(WriteText{std::move(path), std::move(text)}));
  }
  auto edited = find_pending(s, s.form.editing);
  if (s.form.editing && edited != s.queue.pending.end()) {
    job.id = edited->id, job.spec.output = edited->spec.output;
    name_job(s, job.spec);
    *edited = std::move(job);
    s.form.editing = 0;
    return say(s, Notice::Kind::info, "the waiting job is changed"), effects;
  }
  s.form.editing = 0;
  job.id = s.queue.next_id++;
  name_job(s, job.spec);
  s.queue.pending.push_back(std::move(job));
  if (s.queue.running) say(s, Notice::Kind::info, std::to_string(s.queue.pending.size()) + " waiting");
  for (Effect& e : start_next(s)) effects.push_back(std::move(e));
  return effects;
}

Effects start_next(AppState& s) {
  auto next = std::find_if(s.queue.pending.begin(), s.queue.pending.end(), [](const PendingJob& p) { return !p.elsewhere; });
  if (s.queue.running || next == s.queue.pending.end() || !s.gallery.listed) return {};
  PendingJob job = std::move(*next);
  s.queue.pending.erase(next);
  s.queue.running = RunningJob{};
  s.queue.running->id = job.id, s.queue.running->spec = job.spec;
  s.inspector.tables.clear(), s.inspector.maps.clear(), s.inspector.true_maps.clear();
  s.inspector.map_cells = 0;
  s.inspector.follow = true, s.inspector.sample = false;
  s.viewer.live = nullptr, s.viewer.live_step = 0;
  if (!s.viewer.comparing) s.viewer.show_live = true;
  say(s, Notice::Kind::info, "");
  return {SubmitJob{job.id, std::move(job.spec)}};
}

Effects cancel(AppState& s, uint64_t id) {
  if (s.queue.running && s.queue.running->id == id) {
    s.queue.running->cancelling = true;
    if (s.queue.running->request) return {CancelJob{s.queue.running->request}};
    return {};  // asked for as soon as the engine has given its number
  }
  Effects effects;
  if (auto job = find_pending(s, id); job != s.queue.pending.end()) {
    if (!job->spec.output.empty()) effects.push_back(ForgetJob{job->spec.output});
    s.queue.pending.erase(job);
  }
  if (s.form.editing == id) s.form.editing = 0;
  return effects;
}

void move_job(AppState& s, const Move& action) {
  auto job = find_pending(s, action.id);
  if (job == s.queue.pending.end()) return;
  int64_t last = int64_t(s.queue.pending.size()) - 1, from = job - s.queue.pending.begin();
  int64_t to = std::clamp<int64_t>(from + action.by, 0, last);
  PendingJob moved = std::move(*job);
  s.queue.pending.erase(job);
  s.queue.pending.insert(s.queue.pending.begin() + to, std::move(moved));
}

void duplicate_job(AppState& s, uint64_t id) {
  PendingJob copy;
  auto job = find_pending(s, id);
  if (job != s.queue.pending.end()) {
    copy = *job;
  } else if (s.queue.running && s.queue.running->id == id) {
    copy.spec = s.queue.running->spec;
  } else {
    return;
  }
  copy.id = s.queue.next_id++;
  copy.spec.output.clear(), copy.elsewhere = false;
  if (!copy.spec.report.empty()) copy.spec.report = kBesideTheClip;
  name_job(s, copy.spec);
  s.queue.pending.insert(job == s.queue.pending.end() ? job : job + 1, std::move(copy));
}

void take_waiting(AppState& s, const std::vector<JobSpec>& jobs) {
  std::vector<PendingJob> older;
  for (const JobSpec& spec : jobs) {
    note_clip_name(s, spec.output);
    if (!known(s, spec.output)) older.push_back({s.queue.next_id++, spec});
  }
  s.queue.pending.insert(s.queue.pending.begin(), older.begin(), older.end());
  for (PendingJob& job : s.queue.pending) name_job(s, job.spec);
}

Effects take_done_elsewhere(AppState& s, uint64_t id) {
  if (!s.queue.running || s.queue.running->id != id) return {};
  JobSpec spec = std::move(s.queue.running->spec);
  s.queue.running.reset();
  Effects effects;
  show_new_clip(s, spec.output, spec, effects);
  for (Effect& e : start_next(s)) effects.push_back(std::move(e));
  return effects;
}

Effects take_taken_elsewhere(AppState& s, uint64_t id) {
  if (!s.queue.running || s.queue.running->id != id) return {};
  PendingJob job{id, std::move(s.queue.running->spec), true};
  s.queue.running.reset();
  s.queue.pending.push_back(std::move(job));
  return start_next(s);
}

Effects look_again(AppState& s) {
  for (PendingJob& p : s.queue.pending) p.elsewhere = false;
  return start_next(s);
}

Effects edit_job(AppState& s, uint64_t id) {
  auto job = find_pending(s, id);
  if (job == s.queue.pending.end()) return {};
  Effects effects = load_form(s, job->spec);
  s.form.editing = id;
  s.focus = Panel::create, s.focus_changed = true;
  return effects;
}

Effects take_submitted(AppState& s, const Submitted& answer) {
  if (!s.queue.running || s.queue.running->id != answer.id) return {};
  s.queue.running->request = answer.request;
  if (s.queue.running->cancelling) return {CancelJob{answer.request}};
  return {};
}

Effects take_event(AppState& s, const Event& event) {
  Effects effects;
  bool mine = s.queue.running && s.queue.running->request == event.request;
  if (const auto* result = std::get_if<JobResult>(&event.payload)) {
    take_result(s, event.request, *result, effects);
    for (Effect& e : start_next(s)) effects.push_back(std::move(e));
    return effects;
  }
  if (!mine) return effects;
  RunningJob& job = *s.queue.running;
  if (const auto* p = std::get_if<Progress>(&event.payload)) job.progress = *p;
  if (const auto* line = std::get_if<std::string>(&event.payload)) {
    constexpr size_t kKept = 200;
    if (job.notes.size() < kKept) job.notes.push_back(*line);
    if (s.notice.kind != Notice::Kind::error) say(s, Notice::Kind::info, *line);
  }
  if (const auto* preview = std::get_if<Preview>(&event.payload)) {
    s.viewer.live = preview->clip, s.viewer.live_step = preview->step;
  }
  if (const auto* table = std::get_if<AttentionTable>(&event.payload)) take_table(s, *table);
  if (const auto* map = std::get_if<AttentionMap>(&event.payload)) take_map(s, *map);
  return effects;
}

}  // namespace zt::ui
