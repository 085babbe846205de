#include "ui/panels/layout.h"

#include <algorithm>

namespace zt::ui {

Layout make_layout(float width, float height, float unit, Panel focus, bool inspector_open) {
  // In text heights: below this the viewer between two side panels would be a strip.
  constexpr float kLeft = 23, kRight = 20, kLeastWidth = 62, kLeastHeight = 30, kBar = 2.2f, kLeastViewer = 14;
  Layout out;
  float bar = std::min(kBar * unit, height / 4);
  out.status = {0, height - bar, width, bar};
  float body = height - bar;
  if (width < kLeastWidth * unit || height < kLeastHeight * unit) {
    out.tabs = true;
    out.tab_bar = {0, 0, width, bar};
    out.panels[int(focus)] = {0, bar, width, body - bar};
    return out;
  }
  constexpr float kGap = 1;
  float left = kLeft * unit, right = kRight * unit, middle = width - left - right - 2 * kGap;
  float bottom = inspector_open ? std::clamp(body * 0.36f, 15 * unit, std::max(body - kLeastViewer * unit, 0.f)) : 0;
  float gap = inspector_open ? kGap : 0;
  out.panels[int(Panel::create)] = {0, 0, left, body};
  out.panels[int(Panel::viewer)] = {left + kGap, 0, middle, body - bottom - gap};
  out.panels[int(Panel::attention)] = {left + kGap, body - bottom, middle, bottom};
  out.panels[int(Panel::queue)] = {width - right, 0, right, body};
  return out;
}

}  // namespace zt::ui
