// The table of named buttons: one row makes the button's key, its line in the help and its name in scripts.
#pragma once

#include <span>
#include <string_view>

#include "ui/state/app_state.h"

namespace zt::ui {

// A key with its modifiers. Letters and digits are themselves; others as named here.
struct Chord {
  enum Special : int { none = 0, enter = 256, space, left, right, home, end, escape, del, f1, plus, minus, up, down };
  int key = none;
  bool ctrl = false, shift = false;
};

struct Button {
  std::string_view name, label, help;
  Chord key, second = {};
  bool while_typing = false;  // works while a text box has the keyboard
};

std::span<const Button> buttons();
const Button* find_button(std::string_view name);  // case does not matter, a space is a dash
std::string chord_text(const Chord& chord);        // "Ctrl+Enter"

}  // namespace zt::ui
