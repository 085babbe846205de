#include "app/session/job_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "app/session/job_fields.h"
#include "app/session/text.h"

namespace zt {
namespace {

struct Checker {
  const JobSpec& spec;
  const Field& field;

  Problem say(const std::string& what) const { return fmt::format("{}: {}", field.name, what); }

  template <class T>
  Problem range(T v) const {
    if (!std::isfinite(double(v))) return say(fmt::format("{} is not a finite number", v));
    if (double(v) >= field.low && double(v) <= field.high) return {};
    return say(fmt::format("{} is outside {}..{}", v, field.low, field.high));
  }

  Problem operator()(std::string JobSpec::*m) const {
    const std::string& s = spec.*m;
    if (s.size() > kMaxTextBytes) return say("longer than 1 MiB");
    if (auto at = invalid_utf8_at(s)) return say(fmt::format("not valid UTF-8 at byte {}", *at));
    if (s.find('\0') != std::string::npos) return say("contains a NUL byte");
    if (field.choices.empty() || std::find(field.choices.begin(), field.choices.end(), s) != field.choices.end()) return {};
    std::string nearest = closest_name(s, field.choices);
    return say(fmt::format("`{}` is not one of {}{}", quotable_text(s), fmt::join(field.choices, ", "),
                           nearest.empty() ? "" : fmt::format("; did you mean {}?", nearest)));
  }
  Problem operator()(int64_t JobSpec::*m) const { return range(spec.*m); }
  Problem operator()(double JobSpec::*m) const { return range(spec.*m); }
  Problem operator()(bool JobSpec::*) const { return {}; }
  // Falling from at most `high` to above `low`.
  Problem operator()(std::vector<double> JobSpec::*m) const {
    constexpr size_t kMost = 1000;  // as many steps as there may be
    const std::vector<double>& v = spec.*m;
    if (v.size() > kMost) return say(fmt::format("{} values, at most {} are possible", v.size(), kMost));
    for (size_t i = 0; i < v.size(); ++i) {
      if (v[i] == 0 && i + 1 == v.size()) return say("the last step goes to 0 by itself; leave the 0 out");
      if (!(v[i] > field.low && v[i] <= field.high))
        return say(fmt::format("{} is not above {} and at most {}", v[i], field.low, field.high));
      if (i > 0 && !(v[i] < v[i - 1])) return say(fmt::format("{} stands behind {}: each must be below the one before", v[i], v[i - 1]));
    }
    return {};
  }
  Problem operator()(Size JobSpec::*m) const {
    Size s = spec.*m;
    auto inside = [](int64_t v) { return v >= kMinSide && v <= kMaxSide; };
    if (!inside(s.width) || !inside(s.height)) {
      return say(fmt::format("{}x{}: width and height must lie in {}..{}", s.width, s.height, kMinSide, kMaxSide));
    }
    if (s.width % kSizeStep == 0 && s.height % kSizeStep == 0) return {};
    auto nearest = [](int64_t v) { return std::clamp((v + kSizeStep / 2) / kSizeStep * kSizeStep, kMinSide, kMaxSide); };
    return say(fmt::format("{}x{}: width and height must be multiples of {}; nearest is {}x{}", s.width, s.height, kSizeStep,
                           nearest(s.width), nearest(s.height)));
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

Problem settle_sigmas(JobSpec& spec, const std::set<std::string>& given) {
  const int64_t count = int64_t(spec.sigmas.size());
  if (count == 0) return {};
  if (given.count("steps") && spec.steps != count)
    return fmt::format("steps: {}, but sigmas lists {} noise levels, one a step; leave steps out", spec.steps, count);
  if (given.count("flow_shift") && spec.flow_shift > 0)
    return fmt::format("flow_shift: {}, but sigmas are taken as they stand; give one of the two", spec.flow_shift);
  spec.steps = count, spec.flow_shift = 0;
  return {};
}

Problem normalise(JobSpec& spec, std::vector<std::string>& notes) {
  if (Problem p = validate(spec); !p.empty()) return p;
  if (Problem p = settle_sigmas(spec, {"steps", "flow_shift"}); !p.empty()) return p;  // whoever could tell has settled it
  if (spec.seconds > 0) {
    double frames = std::round(spec.seconds * spec.fps);
    if (frames > double(kMaxFrames)) return fmt::format("seconds: {} s are more than {} frames", spec.seconds, kMaxFrames);
    spec.frames = snap_frames(std::max<int64_t>(1, int64_t(frames)));
    notes.push_back(fmt::format("frames: {} s at {} fps are {} frames (4n + 1)", spec.seconds, spec.fps, spec.frames));
    spec.seconds = 0;
  }
  if (int64_t snapped = snap_frames(spec.frames); snapped != spec.frames) {
    notes.push_back(fmt::format("frames: {} is not 4n + 1, using {}", spec.frames, snapped));
    spec.frames = snapped;
  }
  if (spec.seed < 0) {
    std::random_device device;
    spec.seed = int64_t((uint64_t(device()) << 21 ^ device()) & ((uint64_t(1) << 53) - 1));  // exact in every JSON reader
    notes.push_back(fmt::format("seed: drawn {}", spec.seed));
  }
  return {};
}

}  // namespace zt
