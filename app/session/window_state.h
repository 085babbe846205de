// What a window remembers between two starts, and its text form.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "app/session/job_spec.h"

namespace zt {

struct WindowState {
  int width = 1440, height = 900;
  bool light = false, seed_locked = true, inspector = true;
  double text_scale = 1;      // on top of the screen's own
  std::string output_folder;  // empty = not chosen yet
  JobSpec form;
  std::vector<std::string> recent_models;      // newest first
  std::map<std::string, double> step_seconds;  // measured, by what was run
};

std::string window_state_text(const WindowState& state);
// Damaged or foreign text leaves the defaults and is a problem; unknown keys are ignored, so that an older program can
// read what a newer one wrote.
[[nodiscard]] Problem read_window_state(std::string_view text, WindowState& state);

}  // namespace zt
