// Fonts, colours and spacing: the one place that decides what the window looks like. Needs an ImGui context.
#pragma once

#include <string>

namespace zt::ui {

// The font file of ZOETROPE_FONT, else a text font of the system; ImGui's own when there is none (then false).
bool load_fonts(float pixels);
void set_style(bool light, float scale);
// Key numbers are GLFW's: letters and digits are their ASCII codes.
void map_keys();

inline constexpr float kTextPixels = 15;  // at scale 1

}  // namespace zt::ui
