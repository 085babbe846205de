// The one function that changes the state: no clock, no files, no drawing; what must happen outside comes back as effects.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "app/session/window_state.h"
#include "ui/state/input.h"

namespace zt::ui {

Effects reduce(AppState& state, const Input& input);

// State of a window that opens, and what it asks for first. `random` seeds the dice.
AppState initial_state(std::vector<MethodInfo> methods, const WindowState& kept, uint64_t random);
Effects opening_effects(AppState& state);
// Jobs that wait or run, by the folder of their clips: what the folders' queue files should hold.
std::map<std::string, std::vector<JobSpec>> kept_queue(const AppState& state);
// The part that is kept for the next start.
WindowState kept_state(const AppState& state, int width, int height);

}  // namespace zt::ui
