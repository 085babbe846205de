// States and events to test with.
#pragma once

#include <string>
#include <vector>

#include "app/engine/method_infos.h"
#include "ui/state/reduce.h"

namespace zt::ui::testing {

inline AppState fresh_state() {
  WindowState kept;
  kept.output_folder = "/clips";
  AppState s = initial_state(method_infos(), kept, 1);
  s.state_folder = "/state";
  opening_effects(s);
  reduce(s, DeskAnswer(ClipsListed{"/clips", {}, ""}));
  return s;
}

template <class T>
std::vector<T> of_kind(const Effects& effects) {
  std::vector<T> found;
  for (const Effect& e : effects) {
    if constexpr (std::is_same_v<T, SubmitJob> || std::is_same_v<T, CancelJob> || std::is_same_v<T, MeasureHead> || std::is_same_v<T, ForgetJob>) {
      if (const auto* x = std::get_if<T>(&e)) found.push_back(*x);
    } else if (const auto* r = std::get_if<DeskRequest>(&e)) {
      if (const auto* x = std::get_if<T>(r)) found.push_back(*x);
    }
  }
  return found;
}

// Presses Render and answers the submission as the engine would; the request's number is the job's.
inline Effects render(AppState& s) {
  Effects effects = reduce(s, Action(Press{"render"}));
  for (const SubmitJob& job : of_kind<SubmitJob>(effects)) reduce(s, Submitted{job.id, job.id});
  return effects;
}

inline Event finished(uint64_t request, ExitCode code = ExitCode::done, const std::string& error = "") {
  JobResult r;
  r.code = code, r.error = error;
  if (code == ExitCode::done) r.files = {"/clips/c-" + std::to_string(request) + ".mp4"};
  r.seconds = {{"denoising", 10}, {"decoding", 2}, {"total", 13}};
  return {request, r};
}

inline Event stepped(uint64_t request, int64_t step, int64_t steps) {
  Progress p;
  p.state = JobState::denoising, p.step = step, p.steps = steps, p.eta_s = 3, p.mem_mb = 100;
  return {request, p};
}

inline AttentionTable table(int64_t step, int64_t layers, int64_t heads) {
  AttentionTable t;
  t.step = step, t.steps = 20, t.layers = layers, t.heads = heads;
  for (int64_t i = 0; i < layers * heads; ++i) {
    t.density.push_back(float(i) / float(layers * heads)), t.time_ms.push_back(float(i));
    t.recall.push_back(i % 3 ? 0.9f : -1.f);
  }
  return t;
}

// 3 frames of 4x4 tokens in blocks of 8: six blocks, the diagonal and its neighbours kept.
inline AttentionMap map(int64_t step, int64_t layer, int64_t head) {
  AttentionMap m;
  m.step = step, m.layer = layer, m.head = head;
  m.grid_t = 3, m.grid_h = 4, m.grid_w = 4, m.query_block = m.key_block = 8, m.rows = m.cols = 6;
  for (int64_t q = 0; q < 6; ++q) {
    for (int64_t k = 0; k < 6; ++k) m.kept.push_back(std::abs(q - k) < 2 ? 1.f : 0.f);
  }
  return m;
}

inline AttentionMap true_map(int64_t step, int64_t layer, int64_t head) {
  AttentionMap m = map(step, layer, head);
  for (int64_t i = 0; i < 36; ++i) m.mass.push_back(i % 7 == 0 ? 0.5f : 0.1f);
  return m;
}

inline Clip grey_clip(int64_t width, int64_t height, int64_t frames, uint8_t level = 128) {
  auto c = std::make_shared<ClipFrames>();
  c->width = width, c->height = height, c->frames = frames;
  c->rgb.assign(size_t(width * height * frames * 3), level);
  return c;
}

}  // namespace zt::ui::testing
