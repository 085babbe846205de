#include <algorithm>
#include <cmath>

#include "ui/state/parts.h"

namespace zt::ui {
namespace {

const Clip& moving_clip(const Viewer& v) { return v.show_live && v.live ? v.live : v.a; }

double length_s(const Clip& clip) { return clip && clip->fps > 0 ? double(clip->frames) / clip->fps : 0; }

}  // namespace

void show_clip(AppState& s, const ClipLoaded& answer) {
  if (!answer.problem.empty()) return say(s, Notice::Kind::error, answer.problem);
  Viewer& v = s.viewer;
  constexpr int64_t kThumbnailSide = 160;
  for (ClipEntry& c : s.gallery.clips) {
    if (c.path == answer.path && !c.thumbnail) c.thumbnail = shrunk_frame(*answer.clip, answer.clip->frames / 2, kThumbnailSide);
  }
  if (answer.slot == 1) {
    v.b = answer.clip, v.b_path = answer.path, v.comparing = true;
    return;
  }
  // The clip before is what one compares with next.
  if (!v.comparing && v.a && v.a_path != answer.path) v.b = v.a, v.b_path = v.a_path;
  v.a = answer.clip, v.a_path = answer.path;
  v.show_live = false, v.position = 0, v.untouched = 0, v.playing = true;
  s.gallery.selected = answer.path;
}

int64_t shown_frame(const Viewer& v) {
  const Clip& clip = moving_clip(v);
  if (!clip || clip->frames < 1) return 0;
  return std::clamp<int64_t>(int64_t(std::floor(v.position * clip->fps + 1e-6)), 0, clip->frames - 1);
}

void seek(AppState& s, double position) {
  double length = length_s(moving_clip(s.viewer));
  s.viewer.position = std::clamp(std::isfinite(position) ? position : 0, 0., length);
}

void step_frame(AppState& s, int64_t by) {
  const Clip& clip = moving_clip(s.viewer);
  if (!clip || clip->fps <= 0) return;
  s.viewer.playing = false;
  int64_t frame = std::clamp<int64_t>(shown_frame(s.viewer) + by, 0, clip->frames - 1);
  s.viewer.position = double(frame) / clip->fps;
}

void let_pass(AppState& s, double seconds) {
  double length = length_s(moving_clip(s.viewer));
  if (!s.viewer.playing || length <= 0) return;
  seconds = std::clamp(seconds, 0., 1.);
  s.viewer.position = std::fmod(s.viewer.position + seconds, length);
  // A clip left to itself comes to rest: a window nobody uses should cost nothing.
  constexpr double kPatience = 20, kLoops = 3;
  s.viewer.untouched += seconds;
  if (s.viewer.untouched > std::max(kPatience, kLoops * length) && !s.queue.running) s.viewer.playing = false;
}

bool animated(const AppState& s) {
  const Clip& clip = moving_clip(s.viewer);
  return s.viewer.playing && clip && clip->frames > 1 && clip->fps > 0;
}

Effects save_frame(AppState& s) {
  const Clip& clip = moving_clip(s.viewer);
  if (!clip) return say(s, Notice::Kind::error, "there is no picture to save yet"), Effects();
  SavePicture ask;
  ask.frame = shown_frame(s.viewer);
  std::string stem = clip == s.viewer.a ? s.viewer.a_path.substr(0, s.viewer.a_path.rfind('.')) : s.output_folder + "/preview";
  ask.path = stem + "-frame" + std::to_string(ask.frame) + ".png";
  ask.clip = clip;
  return {DeskRequest(std::move(ask))};
}

}  // namespace zt::ui
