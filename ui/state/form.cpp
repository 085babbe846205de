#include <algorithm>
#include <cmath>

#include "app/session/job_fields.h"
#include "ui/state/parts.h"

namespace zt::ui {
namespace {

int64_t snap_side(double side) {
  int64_t steps = std::llround(side / double(kSizeStep));
  return std::clamp(steps * kSizeStep, kMinSide, kMaxSide);
}

std::string size_text(Size s) { return std::to_string(s.width) + "x" + std::to_string(s.height); }

// splitmix64 (Steele, Lea, Flood 2014): any start value is a good one.
uint64_t next_random(uint64_t& state) {
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace

Effects ask_estimate(AppState& state) {
  EstimateJob ask;
  ask.version = ++state.estimate_version, ask.spec = state.form.spec;
  return {DeskRequest(std::move(ask))};
}

Effects set_field(AppState& state, const SetField& action) {
  const Field* field = find_field(action.field);
  if (!field) return say(state, Notice::Kind::error, "there is no setting `" + action.field + "`"), Effects();
  JobSpec next = state.form.spec;
  if (Problem p = zt::set_field(next, *field, std::string_view(action.text)); !p.empty())
    return say(state, Notice::Kind::error, p), Effects();
  JobSpec& spec = state.form.spec;
  if (action.field == "size") {
    Size asked = next.size;
    next.size = {snap_side(double(asked.width)), snap_side(double(asked.height))};
    if (!(next.size == asked))
      say(state, Notice::Kind::info, size_text(asked) + " became " + size_text(next.size) + ": sides are multiples of 16");
  }
  if (action.field == "seconds") {
    next.frames = std::llround(std::clamp(next.seconds * next.fps, 1., double(kMaxFrames)));
    next.seconds = 0;
  }
  if (action.field == "frames" || action.field == "seconds") {
    int64_t asked = next.frames;
    next.frames = snap_frames(std::clamp<int64_t>(asked, 1, kMaxFrames));
    if (next.frames != asked)
      say(state, Notice::Kind::info,
          std::to_string(asked) + " frames became " + std::to_string(next.frames) + ": clips have 4n + 1");
  }
  // A list of noise levels has a step each and no shift: the newest choice wins.
  if (action.field == "sigmas" && !next.sigmas.empty()) next.steps = int64_t(next.sigmas.size()), next.flow_shift = 0;
  bool other_steps = action.field == "steps" && next.steps != int64_t(next.sigmas.size());
  if (!next.sigmas.empty() && (other_steps || (action.field == "flow_shift" && next.flow_shift > 0))) {
    next.sigmas.clear();
    say(state, Notice::Kind::info, "the list of sigmas is gone: the sampler spaces the steps now");
  }
  bool same_work = action.field == "prompt" || action.field == "negative_prompt" || action.field == "seed";
  bool new_model = next.model != spec.model;
  spec = std::move(next);
  if (action.field == "seed") state.form.seed_locked = true;
  if (action.field == "attn") return set_method(state, parse_method(spec.attn));
  if (new_model) {
    auto& recent = state.recent_models;
    recent.erase(std::remove(recent.begin(), recent.end(), spec.model), recent.end());
    recent.insert(recent.begin(), spec.model);
    constexpr size_t kRemembered = 10;
    if (recent.size() > kRemembered) recent.resize(kRemembered);
    return {DeskRequest(DescribeModel{spec.model})};
  }
  return same_work ? Effects() : ask_estimate(state);
}

Effects set_method(AppState& state, MethodChoice choice) {
  state.form.method = std::move(choice);
  state.form.spec.attn = method_spec(state.form.method, state.methods);
  Problem p = check_method(state.form.method, state.methods);
  if (!p.empty()) return say(state, Notice::Kind::error, p), Effects();
  return ask_estimate(state);
}

Effects set_aspect(AppState& state, const SetAspect& action) {
  Size& size = state.form.spec.size;
  double area = double(size.width) * double(size.height), ratio = double(action.across) / double(action.up);
  size = {snap_side(std::sqrt(area * ratio)), snap_side(std::sqrt(area / ratio))};
  return ask_estimate(state);
}

Effects load_form(AppState& state, JobSpec spec) {
  spec.output.clear();
  state.form.spec = std::move(spec);
  state.form.pins.clear();
  state.form.seed_locked = true;
  return set_method(state, parse_method(state.form.spec.attn));
}

void roll_seed(AppState& state) {
  // Seeds a person can read out.
  constexpr uint64_t kSeeds = 1000000000;
  state.form.spec.seed = int64_t(next_random(state.random) % kSeeds);
}

void take_defaults(AppState& state, const ModelDescribed& answer) {
  JobSpec& s = state.form.spec;
  if (answer.model != s.model) return;  // the user went on meanwhile
  if (!answer.problem.empty()) return say(state, Notice::Kind::error, answer.problem);
  const JobSpec& d = answer.defaults;
  s.size = d.size, s.frames = d.frames, s.fps = d.fps, s.steps = d.steps, s.cfg_scale = d.cfg_scale;
  s.flow_shift = d.flow_shift, s.negative_prompt = d.negative_prompt, s.sampler = d.sampler, s.sigmas = d.sigmas;
  // A variant is trained for its method, and the next model is not.
  state.form.method = parse_method(d.attn);
  s.attn = method_spec(state.form.method, state.methods);
  say(state, Notice::Kind::info, "model " + s.model + ": size, length, steps and attention are its own defaults now");
}

}  // namespace zt::ui
