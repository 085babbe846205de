// Where each panel stands, from the window's size alone.
#pragma once

#include "ui/state/app_state.h"

namespace zt::ui {

struct Box {
  float x = 0, y = 0, w = 0, h = 0;
  bool shown() const { return w >= 1 && h >= 1; }
};

struct Layout {
  bool tabs = false;  // too small for all panels at once: one at a time, chosen by tabs
  Box panels[kPanels];
  Box tab_bar, status;
  const Box& of(Panel p) const { return panels[int(p)]; }
};

// `unit` = height of the text in pixels.
Layout make_layout(float width, float height, float unit, Panel focus, bool inspector_open);

}  // namespace zt::ui
