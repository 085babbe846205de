#include "ui/state/app_state.h"

namespace zt::ui {

std::string work_key(const JobSpec& s) {
  std::string shape = std::to_string(s.size.width) + "x" + std::to_string(s.size.height) + "x" + std::to_string(s.frames);
  return s.model + " " + shape + " " + s.attn + (s.cfg_scale > 1 ? " guided " : " ") + s.precision + " " + s.device + " " +
         std::to_string(s.threads);
}

double expected_seconds(const AppState& state) {
  const JobSpec& spec = state.form.spec;
  auto step = state.step_seconds.find(work_key(spec));
  if (step == state.step_seconds.end()) return -1;
  auto decode = state.step_seconds.find(work_key(spec) + " decode");
  return step->second * double(spec.steps) + (decode == state.step_seconds.end() ? 0 : decode->second);
}

bool busy(const AppState& state) { return state.queue.running || !state.queue.pending.empty(); }

}  // namespace zt::ui
