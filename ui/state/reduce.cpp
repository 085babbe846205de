#include "ui/state/reduce.h"

#include <algorithm>

#include "ui/state/buttons.h"
#include "ui/state/parts.h"

namespace zt::ui {
namespace {

constexpr std::string_view kFirstPrompt = "a red balloon rises in a blue sky";

Effects press(AppState& s, std::string_view name);

bool ends_with_any(const std::string& path, std::initializer_list<std::string_view> endings) {
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view e) { return path.ends_with(e); });
}

// By its name: the state knows no files.
Effects drop(AppState& s, const std::string& path) {
  if (ends_with_any(path, {".json", ".mp4", ".mkv", ".mov", ".webm", ".gif", ".png"})) return {DeskRequest(ReadSettings{path})};
  if (path.ends_with(".toml")) return set_method(s, parse_method("@" + path));
  return set_field(s, {"model", path});
}

void close(AppState& s) {
  if (s.queue.running) {
    s.dialog = Dialog::close;
  } else {
    s.quit = true;  // what waits is kept for the next start
  }
}

struct ActionReducer {
  AppState& s;
  Effects operator()(const SetField& a) const { return set_field(s, a); }
  Effects operator()(const SetMethod& a) const { return set_method(s, MethodChoice{a.name, {}}); }
  Effects operator()(const SetParameter& a) const {
    MethodChoice choice = s.form.method;
    choice.values[a.name] = a.value;
    return set_method(s, std::move(choice));
  }
  Effects operator()(const SetAspect& a) const { return set_aspect(s, a); }
  Effects operator()(const Press& a) const { return press(s, a.name); }
  Effects operator()(const OpenPanel& a) const {
    s.focus = a.panel, s.focus_changed = true;
    if (a.panel == Panel::attention) s.inspector_open = true;
    return {};
  }
  Effects operator()(const Cancel& a) const { return cancel(s, a.id); }
  Effects operator()(const Move& a) const { return move_job(s, a), Effects(); }
  Effects operator()(const Duplicate& a) const { return duplicate_job(s, a.id), Effects(); }
  Effects operator()(const Edit& a) const { return edit_job(s, a.id); }
  Effects operator()(const OpenClip& a) const {
    if (!a.as_b) s.gallery.selected = a.path;
    return {DeskRequest(LoadClip{a.path, a.as_b ? 1 : 0})};
  }
  Effects operator()(const RestoreSpec& a) const {
    if (!a.seed_only) return load_form(s, a.spec);
    s.form.spec.seed = a.spec.seed, s.form.seed_locked = true;
    return {};
  }
  Effects operator()(const DropPaths& a) const {
    Effects all;
    for (const std::string& path : a.paths) {
      for (Effect& e : drop(s, path)) all.push_back(std::move(e));
    }
    return all;
  }
  Effects operator()(const Seek& a) const { return s.viewer.playing = false, seek(s, a.position), Effects(); }
  Effects operator()(const SetWipe& a) const { return s.viewer.wipe = std::clamp(a.share, 0.f, 1.f), Effects(); }
  Effects operator()(const PickStep& a) const { return pick_step(s, a.step), Effects(); }
  Effects operator()(const PickCell& a) const { return pick_cell(s, a.layer, a.head), Effects(); }
  Effects operator()(const PickQuery& a) const { return s.inspector.query = a.block, Effects(); }
  Effects operator()(const ColourBy& a) const { return s.inspector.colour = a.colour, Effects(); }
  Effects operator()(const AddPin& a) const {
    std::erase_if(s.form.pins, [&](const Pin& p) { return p.layer == a.pin.layer && p.head == a.pin.head; });
    s.form.pins.push_back(a.pin);
    return {};
  }
  Effects operator()(const RemovePin& a) const {
    if (a.index < s.form.pins.size()) s.form.pins.erase(s.form.pins.begin() + std::ptrdiff_t(a.index));
    return {};
  }
  Effects operator()(const SavePlan& a) const { return save_plan(s, a.path); }
  Effects operator()(const SetTextScale& a) const { return s.text_scale = std::clamp(a.scale, 0.5, 4.), Effects(); }
  Effects operator()(const SetOutputFolder& a) const {
    s.output_folder = a.folder, s.gallery.listed = false;
    return {DeskRequest(ListClips{a.folder})};
  }
  Effects operator()(const AskToClose&) const { return close(s), Effects(); }
  Effects operator()(const AnswerClose& a) const { return s.dialog = Dialog::none, s.quit = a.close, Effects(); }
};

Effects press(AppState& s, std::string_view name) {
  const Button* known = find_button(name);
  if (!known) return say(s, Notice::Kind::error, "there is no button `" + std::string(name) + "`"), Effects();
  name = known->name;
  constexpr double kTextStep = 1.1;
  Viewer& v = s.viewer;
  Inspector& in = s.inspector;
  if (name == "render") return render(s);
  if (name == "cancel") return s.queue.running ? cancel(s, s.queue.running->id) : Effects();
  if (name == "dice") roll_seed(s);
  if (name == "lock") s.form.seed_locked = !s.form.seed_locked;
  if (name == "measure") s.form.measure = !s.form.measure;
  if (name == "play") v.playing = !v.playing;
  if (name == "previous-frame") step_frame(s, -1);
  if (name == "next-frame") step_frame(s, 1);
  if (name == "first-frame") seek(s, 0);
  if (name == "last-frame") step_frame(s, kMaxFrames);
  if (name == "live") v.show_live = !v.show_live;
  if (name == "compare") {
    v.comparing = v.b ? !v.comparing : false;
    if (!v.b) say(s, Notice::Kind::info, "choose the clip to compare with: \"Compare\" beside one in the gallery");
  }
  if (name == "swap" && v.b) std::swap(v.a, v.b), std::swap(v.a_path, v.b_path);
  if (name == "save-frame") return save_frame(s);
  if (name == "restore") return v.a_path.empty() ? Effects() : Effects{DeskRequest(ReadSettings{v.a_path})};
  if (name == "save-plan") return save_plan(s, s.form.plan_path);
  if (name == "clear-pins") s.form.pins.clear();
  if (name == "true-attention") in.true_attention = !in.true_attention;
  if (name == "previous-step") step_by(s, -1);
  if (name == "next-step") step_by(s, 1);
  if (name == "layer-up") pick_cell(s, in.layer - 1, in.head);
  if (name == "layer-down") pick_cell(s, in.layer + 1, in.head);
  if (name == "head-left") pick_cell(s, in.layer, in.head - 1);
  if (name == "head-right") pick_cell(s, in.layer, in.head + 1);
  constexpr std::string_view kPanelNames[kPanels] = {"create", "viewer", "queue", "attention"};
  for (int i = 0; i < kPanels; ++i) {
    if (name == kPanelNames[i]) return reduce(s, Action(OpenPanel{Panel(i)}));
  }
  if (name == "inspector") s.inspector_open = !s.inspector_open;
  if (name == "theme") s.light = !s.light;
  if (name == "larger") return reduce(s, Action(SetTextScale{s.text_scale * kTextStep}));
  if (name == "smaller") return reduce(s, Action(SetTextScale{s.text_scale / kTextStep}));
  if (name == "keys") s.dialog = s.dialog == Dialog::keys ? Dialog::none : Dialog::keys;
  if (name == "dismiss") {
    if (s.dialog == Dialog::none) s.notice = {};
    s.dialog = Dialog::none;
  }
  if (name == "quit") close(s);
  return {};
}

struct AnswerReducer {
  AppState& s;
  Effects operator()(const ClipLoaded& a) const { return show_clip(s, a), Effects(); }
  Effects operator()(const FileWritten& a) const {
    say(s, a.problem.empty() ? Notice::Kind::info : Notice::Kind::error, a.problem.empty() ? "wrote " + a.path : a.problem);
    return {};
  }
  Effects operator()(const ClipsListed& a) const {
    if (a.folder != s.output_folder) return {};  // another one was chosen meanwhile
    s.gallery.listed = true;
    if (!a.problem.empty()) say(s, Notice::Kind::error, a.problem);
    s.gallery.clips.assign(a.clips.begin(), a.clips.end());
    Effects effects;
    for (const ClipEntry& c : a.clips) {
      note_clip_name(s, c.path);
      effects.push_back(DeskRequest(LoadThumbnail{c.path}));
    }
    take_waiting(s, a.waiting);
    for (Effect& e : start_next(s)) effects.push_back(std::move(e));
    return effects;
  }
  Effects operator()(const ThumbnailLoaded& a) const {
    for (ClipEntry& c : s.gallery.clips) {
      if (c.path == a.path && !c.thumbnail) c.thumbnail = a.thumbnail;
    }
    return {};
  }
  Effects operator()(const SettingsRead& a) const {
    if (!a.problem.empty()) return say(s, Notice::Kind::error, a.problem), Effects();
    Effects effects = load_form(s, a.spec);
    say(s, Notice::Kind::info, "settings of " + a.path);
    return effects;
  }
  Effects operator()(const ModelDescribed& a) const { return take_defaults(s, a), ask_estimate(s); }
  Effects operator()(const JobEstimate& a) const {
    if (a.version == s.estimate_version) s.estimate = a;
    return {};
  }
};

struct InputReducer {
  AppState& s;
  Effects operator()(const Action& a) const { return s.viewer.untouched = 0, std::visit(ActionReducer{s}, a); }
  Effects operator()(const Event& e) const { return take_event(s, e); }
  Effects operator()(const DeskAnswer& a) const { return std::visit(AnswerReducer{s}, a); }
  Effects operator()(const Submitted& a) const { return take_submitted(s, a); }
  Effects operator()(const DoneElsewhere& a) const { return take_done_elsewhere(s, a.id); }
  Effects operator()(const TakenElsewhere& a) const { return take_taken_elsewhere(s, a.id); }
  Effects operator()(const LookAgain&) const { return look_again(s); }
  Effects operator()(const Elapsed& a) const { return let_pass(s, a.seconds), Effects(); }
  Effects operator()(const FocusTaken&) const { return s.focus_changed = false, Effects(); }
};

}  // namespace

void say(AppState& s, Notice::Kind kind, std::string text) { s.notice = {kind, std::move(text)}; }

Effects reduce(AppState& s, const Input& input) {
  MeasuredHead before = measured_head(s.inspector);
  Effects effects = std::visit(InputReducer{s}, input);
  MeasuredHead after = measured_head(s.inspector);
  if (!(after == before)) effects.push_back(MeasureHead{after});
  return effects;
}

AppState initial_state(std::vector<MethodInfo> methods, const WindowState& kept, uint64_t random) {
  AppState s;
  s.methods = std::move(methods);
  s.form.spec = kept.form;
  if (s.form.spec.prompt.empty()) s.form.spec.prompt = kFirstPrompt;
  s.form.method = parse_method(s.form.spec.attn);
  s.form.seed_locked = kept.seed_locked;
  s.light = kept.light, s.inspector_open = kept.inspector, s.text_scale = kept.text_scale;
  s.output_folder = kept.output_folder, s.recent_models = kept.recent_models, s.step_seconds = kept.step_seconds;
  s.random = random;
  return s;
}

Effects opening_effects(AppState& s) {
  Effects effects = ask_estimate(s);
  effects.push_back(DeskRequest(ListClips{s.output_folder}));  // what waits starts with the answer
  return effects;
}

WindowState kept_state(const AppState& s, int width, int height) {
  WindowState kept;
  kept.width = width, kept.height = height;
  kept.light = s.light, kept.seed_locked = s.form.seed_locked, kept.inspector = s.inspector_open, kept.text_scale = s.text_scale;
  kept.output_folder = s.output_folder, kept.form = s.form.spec, kept.recent_models = s.recent_models;
  kept.step_seconds = s.step_seconds;
  return kept;
}

std::map<std::string, std::vector<JobSpec>> kept_queue(const AppState& s) {
  std::map<std::string, std::vector<JobSpec>> kept;
  auto keep = [&](const JobSpec& spec) {
    if (!spec.output.empty()) kept[spec.output.substr(0, spec.output.rfind('/'))].push_back(spec);
  };
  // The running job is stopped by closing: it is the first to run again.
  if (s.queue.running && !s.queue.running->cancelling) keep(s.queue.running->spec);
  for (const PendingJob& p : s.queue.pending) keep(p.spec);
  return kept;
}

}  // namespace zt::ui
