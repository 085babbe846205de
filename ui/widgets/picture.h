// Pictures in boxes.
#pragma once

#include <imgui.h>

#include "app/session/clip_frames.h"
#include "ui/platform/platform.h"

namespace zt::ui {

struct Placed {
  ImVec2 min, max;
  float width() const { return max.x - min.x; }
  float height() const { return max.y - min.y; }
};

// The largest place of the picture's shape in the middle of a box at `at`.
Placed fit(ImVec2 at, ImVec2 box, int64_t width, int64_t height);
// Left part A, right part B, a line between; `b` may be null.
void wipe_picture(Textures& textures, const Clip& a, int64_t frame_a, const Clip& b, int64_t frame_b, float share,
                  const Placed& place);
// Text on a dark patch, for labels over pictures.
void label_at(ImVec2 at, const char* text);

}  // namespace zt::ui
