#include "app/session/job_spec.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "app/session/job_fields.h"
#include "app/session/text.h"

namespace zt {
namespace {

std::string shown(double v) {
  std::string s = std::to_string(v);
  while (s.find('.') != std::string::npos && (s.back() == '0' || s.back() == '.')) {
    bool dot = s.back() == '.';
    s.pop_back();
    if (dot) break;
  }
  return s;
}

struct Checker {
  const JobSpec& spec;
  const Field& field;

  Problem say(const std::string& what) const { return std::string(field.name) + ": " + what; }

  Problem range(double v, const std::string& text) const {
    if (!std::isfinite(v)) return say(text + " is not a finite number");
    if (v >= field.low && v <= field.high) return {};
    return say(text + " is outside " + shown(field.low) + ".." + shown(field.high));
  }

  Problem operator()(std::string JobSpec::*m) const {
    const std::string& s = spec.*m;
    if (s.size() > kMaxTextBytes) return say("longer than 1 MiB");
    if (auto at = invalid_utf8_at(s)) return say("not valid UTF-8 at byte " + std::to_string(*at));
    if (s.find('\0') != std::string::npos) return say("contains a NUL byte");
    if (field.choices.empty() || std::find(field.choices.begin(), field.choices.end(), s) != field.choices.end()) return {};
    std::string list;
    for (const std::string& c : field.choices) list += (list.empty() ? "" : ", ") + c;
    std::string nearest = nearest_name(s, field.choices);
    return say("`" + s.substr(0, 40) + "` is not one of " + list + (nearest.empty() ? "" : "; did you mean " + nearest + "?"));
  }
  Problem operator()(int64_t JobSpec::*m) const { return range(double(spec.*m), std::to_string(spec.*m)); }
  Problem operator()(double JobSpec::*m) const { return range(spec.*m, shown(spec.*m)); }
  Problem operator()(bool JobSpec::*) const { return {}; }
  Problem operator()(Size JobSpec::*m) const {
    Size s = spec.*m;
    std::string text = std::to_string(s.width) + "x" + std::to_string(s.height);
    auto inside = [](int64_t v) { return v >= kMinSide && v <= kMaxSide; };
    if (!inside(s.width) || !inside(s.height)) {
      return say(text + ": width and height must lie in " + std::to_string(kMinSide) + ".." + std::to_string(kMaxSide));
    }
    if (s.width % kSizeStep == 0 && s.height % kSizeStep == 0) return {};
    auto nearest = [](int64_t v) { return std::to_string(std::clamp((v + kSizeStep / 2) / kSizeStep * kSizeStep, kMinSide, kMaxSide)); };
    return say(text + ": width and height must be multiples of 16; nearest is " + nearest(s.width) + "x" + nearest(s.height));
  }
};

}  // namespace

int64_t snap_frames(int64_t frames) {
  if (frames <= 1) return 1;
  return std::min((frames + 1) / 4 * 4 + 1, kMaxFrames);
}

Problem validate(const JobSpec& spec) {
  for (const Field& f : job_fields()) {
    if (Problem p = std::visit(Checker{spec, f}, f.member); !p.empty()) return p;
  }
  if (spec.model.empty()) return "model: empty";
  return {};
}

Problem normalise(JobSpec& spec, std::vector<std::string>& notes) {
  if (Problem p = validate(spec); !p.empty()) return p;
  if (spec.seconds > 0) {
    double frames = std::round(spec.seconds * spec.fps);
    if (frames > double(kMaxFrames)) return "seconds: " + shown(spec.seconds) + " s are more than " + std::to_string(kMaxFrames) + " frames";
    spec.frames = snap_frames(std::max<int64_t>(1, int64_t(frames)));
    notes.push_back("frames: " + shown(spec.seconds) + " s at " + shown(spec.fps) + " fps are " + std::to_string(spec.frames) + " frames (4n + 1)");
    spec.seconds = 0;
  }
  if (int64_t snapped = snap_frames(spec.frames); snapped != spec.frames) {
    notes.push_back("frames: " + std::to_string(spec.frames) + " is not 4n + 1, using " + std::to_string(snapped));
    spec.frames = snapped;
  }
  if (spec.seed < 0) {
    std::random_device device;
    spec.seed = int64_t((uint64_t(device()) << 21 ^ device()) & ((uint64_t(1) << 53) - 1));  // exact in every JSON reader
    notes.push_back("seed: drawn " + std::to_string(spec.seed));
  }
  return {};
}

}  // namespace zt
