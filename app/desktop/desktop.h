// The window's main loop: the platform's input, the engine's events and the desk's answers go into the reducer, its effects
// go back out, and what the state then is gets drawn.
#pragma once

#include <string>
#include <vector>

#include "ui/state/script.h"

namespace zt {

struct DesktopOptions {
  std::string screenshot;     // draw, write this PNG, leave
  std::string script;         // file of ui/state/script.h
  int width = 0, height = 0;  // 0 = as kept
  bool measure = false;       // draw without pause, say how fast at the end
};

// Exit code of the program.
int run_desktop(const DesktopOptions& options);

}  // namespace zt
