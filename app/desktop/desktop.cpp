#include "app/desktop/desktop.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>

#include "app/desktop/kept_files.h"
#include "app/desktop/script_player.h"
#include "app/engine/batch.h"
#include "app/engine/desk.h"
#include "app/engine/engine.h"
#include "app/engine/method_infos.h"
#include "app/engine/pictures.h"
#include "app/engine/places.h"
#include "app/engine/runners.h"
#include "app/engine/work_queue.h"
#include "ui/panels/panels.h"
#include "ui/platform/platform.h"
#include "ui/state/reduce.h"
#include "ui/state/sample.h"

namespace zt {
namespace {

int complain(int code, const std::string& line) {
  std::fprintf(stderr, "zoetrope-desktop: %s\n", line.c_str());
  return code;
}

double cpu_seconds() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  auto seconds = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) * 1e-6; };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

struct Parts {
  std::unique_ptr<ui::Platform> platform;  // before those whose wakeups it takes
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Desk> desk;
  JobPlaces places;
  Isa isa = Isa::generic;
};

class Desktop {
 public:
  Desktop(Parts parts, ui::AppState state, const DesktopOptions& options, std::vector<ui::ScriptLine> script)
      : parts_(std::move(parts)), state_(std::move(state)), options_(options), script_(std::move(script)) {}

  int run() {
    perform(ui::opening_effects(state_));
    double begin = parts_.platform->seconds(), cpu = cpu_seconds();
    last_ = begin;
    bool scripted = !script_.finished();
    int code = 0;
    while (!state_.quit) {
      double most = pause();
      parts_.platform->wait(most);
      take_news(most < 0);
      keep_claim();
      draw();
      if (!options_.screenshot.empty() && settled(begin)) {
        Problem p = screenshot(options_.screenshot);
        return p.empty() ? 0 : complain(1, p);
      }
      if (scripted && !play_script(code)) break;
      keep(false);
    }
    forget_cancelled();
    if (options_.measure) report(parts_.platform->seconds() - begin, cpu_seconds() - cpu);
    keep(true);
    return code;
  }

 private:
  // Seconds until something must be drawn again; negative = not before there is news.
  double pause() const {
    if (options_.measure || redraws_ > 0) return 0;
    if (!script_.finished() || !options_.screenshot.empty()) return 1 / 60.;
    // Other workers look at the claim's time, and end their jobs without telling us.
    double rest = claim_ || waits_for_others() ? double(Claim::kBeat.count()) : -1;
    if (!ui::animated(state_) || !parts_.platform->visible()) return rest;
    const ui::Viewer& v = state_.viewer;
    double fps = v.show_live && v.live ? v.live->fps : v.a->fps;
    return std::clamp(1 / fps, 1 / 60., 1.);
  }

  void take_news(bool woken) {
    ui::Platform& p = *parts_.platform;
    while (auto e = parts_.engine->poll()) {
      if (std::holds_alternative<JobResult>(e->payload)) claim_.reset();
      feed(std::move(*e)), woken = true;
    }
    while (auto a = parts_.desk->poll()) feed(std::move(*a)), woken = true;
    if (p.close_asked()) feed(ui::Action(ui::AskToClose{}));
    if (auto paths = p.take_dropped(); !paths.empty()) feed(ui::Action(ui::DropPaths{std::move(paths)}));
    double now = p.seconds();
    feed(ui::Elapsed{now - last_});
    last_ = now;
    // What input does shows in the frame after the one that sees it.
    constexpr int kRedraws = 2;
    redraws_ = woken ? kRedraws : std::max(redraws_ - 1, 0);
  }

  void draw() {
    ui::Platform& p = *parts_.platform;
    double scale = p.screen_scale() * state_.text_scale;
    if (scale != scale_ || state_.light != light_) p.set_look(light_ = state_.light, scale_ = scale);
    std::string title = ui::window_title(state_);
    if (title != title_) p.set_title(title_ = title);
    std::vector<ui::Action> actions;
    p.begin_frame();
    ui::draw_all({state_, p, memo_, actions});
    p.end_frame();
    ++frames_;
    if (state_.focus_changed) feed(ui::FocusTaken{});
    for (ui::Action& a : actions) feed(std::move(a));
  }

  void feed(ui::Input input) {
    const auto* event = std::get_if<Event>(&input);
    bool passing = std::holds_alternative<ui::Elapsed>(input) || (event && !std::holds_alternative<JobResult>(event->payload));
    queue_seen_ = queue_seen_ && passing;
    perform(ui::reduce(state_, input));
  }

  void submit_job(ui::SubmitJob job) {
    Turn turn = take_turn(job.spec, parts_.places, parts_.isa, claim_);
    if (turn == Turn::done) return feed(ui::DoneElsewhere{job.id});
    if (turn == Turn::elsewhere) return feed(ui::TakenElsewhere{job.id});
    Command command;
    command.spec = std::move(job.spec);
    uint64_t request = parts_.engine->post(std::move(command));
    feed(ui::Submitted{job.id, request});
  }

  bool waits_for_others() const {
    const auto& pending = state_.queue.pending;
    return std::any_of(pending.begin(), pending.end(), [](const ui::PendingJob& p) { return p.elsewhere; });
  }

  void keep_claim() {
    double now = parts_.platform->seconds();
    if (now - beat_ < double(Claim::kBeat.count())) return;
    beat_ = now;
    if (claim_) claim_->beat();
    if (waits_for_others()) feed(ui::LookAgain{});
  }

  // A job that was cancelled just before the window closed is not one to go on with.
  void forget_cancelled() {
    parts_.engine.reset();
    claim_.reset();
    if (const auto& job = state_.queue.running; job && job->cancelling) remove_leftovers(job->spec.output);
  }

  void perform(ui::Effects effects) {
    for (ui::Effect& e : effects) {
      if (auto* submit = std::get_if<ui::SubmitJob>(&e)) {
        submit_job(std::move(*submit));
      } else if (auto* cancel = std::get_if<ui::CancelJob>(&e)) {
        Command command;
        command.kind = Command::Kind::cancel, command.request = cancel->request;
        parts_.engine->post(std::move(command));
      } else if (auto* forget = std::get_if<ui::ForgetJob>(&e)) {
        remove_leftovers(forget->output);
      } else if (auto* measure = std::get_if<ui::MeasureHead>(&e)) {
        Command command;
        command.kind = Command::Kind::measure, command.measured = measure->head;
        parts_.engine->post(std::move(command));
      } else {
        parts_.desk->post(std::move(std::get<DeskRequest>(e)));
      }
    }
  }

  bool play_script(int& code) {
    bool go_on = script_.play({state_, parts_.platform->seconds(), [&](const ui::Action& a) { feed(a); },
                               [&](const std::string& path) { return screenshot(path); }});
    if (!go_on) code = script_.error.empty() ? 0 : complain(script_.exit_code, options_.script + ": " + script_.error);
    return go_on;
  }

  Problem screenshot(const std::string& path) {
    Clip picture = parts_.platform->capture();
    return save_picture(path, *picture, 0).message();
  }

  // Layout and fonts stand after a few frames, the costs of the job when the desk has answered.
  bool settled(double begin) const {
    constexpr int kFrames = 6;
    constexpr double kLimit = 8;
    return frames_ >= kFrames && (state_.estimate || parts_.platform->seconds() - begin > kLimit);
  }

  void report(double wall, double cpu) const {
    std::fprintf(stderr, "%lld frames in %.2f s: %.1f a second, %.2f s of processor time (%.1f%% of a core)\n",
                 static_cast<long long>(frames_), wall, double(frames_) / wall, cpu, 100 * cpu / wall);
  }

  // When the queue has changed, so that it survives a crash, and at the end.
  void keep(bool end) {
    if (!options_.script.empty() || !options_.screenshot.empty()) return;
    bool changed = !queue_seen_ && keep_queue();
    if (state_.state_folder.empty() || (!end && !changed)) return;
    auto kept = ui::kept_state(state_, parts_.platform->width(), parts_.platform->height());
    Status s = write_text_file(state_.state_folder + "/window.json", window_state_text(kept));
    if (!s.ok() && end) complain(0, s.message());
  }

  bool keep_queue() {
    queue_seen_ = true;
    auto now = ui::kept_queue(state_);
    if (now == queue_) return false;
    for (const auto& [folder, jobs] : queue_) now.try_emplace(folder);  // empty now
    for (const auto& [folder, jobs] : now) {
      auto before = queue_.find(folder);
      if (before != queue_.end() && before->second == jobs) continue;
      if (Status s = write_queue(folder, jobs); !s.ok()) state_.notice = {ui::Notice::Kind::warning, s.message()};
    }
    std::erase_if(now, [](const auto& entry) { return entry.second.empty(); });
    queue_ = std::move(now);
    return true;
  }

  Parts parts_;
  ui::AppState state_;
  ui::ViewMemo memo_;
  DesktopOptions options_;
  ScriptPlayer script_;
  std::string title_;
  double scale_ = 0, last_ = 0;
  bool light_ = false;
  int redraws_ = 0;  // frames still to be drawn at once
  int64_t frames_ = 0;
  std::optional<Claim> claim_;  // of the running job
  double beat_ = 0;
  std::map<std::string, std::vector<JobSpec>> queue_;  // as the folders' files have it
  bool queue_seen_ = false;                            // nothing has happened to it since
};

}  // namespace

int run_desktop(const DesktopOptions& options) {
  std::vector<ui::ScriptLine> script;
  if (!options.script.empty()) {
    std::ifstream f(options.script, std::ios::binary);
    if (!f) return complain(2, options.script + ": cannot be read");
    std::string text{std::istreambuf_iterator<char>(f), {}};
    if (Problem p = ui::parse_script(text, script); !p.empty()) return complain(2, options.script + ": " + p);
  }
  // Scripts and pictures begin from the same state every time.
  bool fresh = !options.script.empty() || !options.screenshot.empty();
  Problem kept_problem, problem;
  WindowState kept = fresh ? WindowState() : read_kept(state_folder(), kept_problem);
  if (kept.output_folder.empty()) kept.output_folder = default_output_folder();

  auto machine = Machine::make(), desk_machine = Machine::make();
  if (!machine.ok()) return complain(2, machine.status().message());
  if (!desk_machine.ok()) return complain(2, desk_machine.status().message());
  JobPlaces places = find_places();
  ui::AppState state = ui::initial_state(method_infos(), kept, std::random_device()());
  state.examples = example_prompts(places.assets), state.embedded = embedded_models(places);
  state.state_folder = state_folder().empty() ? kept.output_folder : state_folder();
  if (!kept_problem.empty()) state.notice = {ui::Notice::Kind::warning, kept_problem + "; starting with defaults"};
  if (!options.screenshot.empty()) ui::show_sample(state);

  Parts parts;
  parts.places = places, parts.isa = (*machine)->ctx.isa;
  int width = options.width > 0 ? options.width : kept.width, height = options.height > 0 ? options.height : kept.height;
  parts.platform = ui::make_window(width, height, "Zoetrope", problem);
  if (!parts.platform) return complain(1, problem);
  if (fresh) parts.platform->ignore_mouse();
  auto wake = [platform = parts.platform.get()] { platform->wake(); };
  auto host = std::make_shared<ModelHost>(std::move(*machine), places);
  parts.engine = std::make_unique<Engine>(make_render_runner(host), wake, true);
  parts.desk = std::make_unique<Desk>(std::move(*desk_machine), places, wake);
  return Desktop(std::move(parts), std::move(state), options, std::move(script)).run();
}

}  // namespace zt
