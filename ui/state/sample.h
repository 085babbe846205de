// Made-up attention, marked as such: what the inspector looks like before a first run.
#pragma once

#include "ui/state/app_state.h"

namespace zt::ui {

void show_sample(AppState& state);

}  // namespace zt::ui
