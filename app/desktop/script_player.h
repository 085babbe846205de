// Plays a script line by line, between the frames of the main loop.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ui/state/script.h"

namespace zt {

class ScriptPlayer {
 public:
  struct Stage {
    const ui::AppState& state;
    double seconds;  // a steady clock
    std::function<void(const ui::Action&)> act;
    std::function<Problem(const std::string&)> screenshot;  // of the frame drawn last
  };

  explicit ScriptPlayer(std::vector<ui::ScriptLine> lines = {}) : lines_(std::move(lines)) {}
  bool finished() const { return next_ >= lines_.size(); }
  // At most one line. False when the script has ended the program; then exit_code and error say how.
  bool play(const Stage& stage);

  int exit_code = 0;
  std::string error;

 private:
  bool fail(const ui::ScriptLine& line, const std::string& why);
  bool wait_done(const ui::ScriptLine& line, const Stage& stage);

  std::vector<ui::ScriptLine> lines_;
  size_t next_ = 0;
  int settled_ = 0;         // frames drawn since the last line
  double wait_begin_ = -1;  // of the wait in work; negative = none
};

}  // namespace zt
