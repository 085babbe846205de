// The language of --script: one verb a line, blank lines and # comments allowed.
//
//   set FIELD VALUE      a field of the job, as a flag gives it: set prompt a red balloon
//   press NAME           a row of buttons.h: press render
//   wait done|SECONDS    until nothing runs or waits; or so long
//   open PANEL           create, viewer, queue, gallery, attention, inspector, keys
//   screenshot FILE      a PNG of the window
//   quit
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ui/state/input.h"

namespace zt::ui {

struct ScriptLine {
  enum class Verb : uint8_t { act, wait_done, wait, screenshot, quit };
  Verb verb = Verb::act;
  Action action;       // act
  double seconds = 0;  // wait
  std::string file;    // screenshot
  int number = 0;      // in the file
};

// All lines, or the first mistake with its line number. Nothing runs before the whole script is known to be good.
[[nodiscard]] Problem parse_script(std::string_view text, std::vector<ScriptLine>& lines);

}  // namespace zt::ui
