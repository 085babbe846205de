// Numbers as colours: the viridis scale (even steps in lightness, readable without colour), grids of cells and their legend.
#pragma once

#include <imgui.h>

#include <cstdint>
#include <string>
#include <vector>

#include "app/session/clip_frames.h"

namespace zt::ui {

// 0 = dark violet, 1 = yellow; values outside are cut, what is not a number is the lowest.
uint32_t heat_rgb(float value);  // 0xrrggbb
ImU32 heat_colour(float value, float alpha = 1);

// Colours for values in [low, high]; `low` and `high` stand at the ends of the bar.
void heat_legend(const std::string& low, const std::string& high, float width);

struct Cell {
  int64_t row = -1, col = -1;
  explicit operator bool() const { return row >= 0; }
};

// A grid [rows, cols] of values already in [0, 1] (negative = no value, drawn hollow) in a box of that size. Says which cell
// is under the mouse; `clicked` when it was clicked. The selected cell has a frame.
struct HeatGrid {
  int64_t rows = 0, cols = 0;
  const float* values = nullptr;
  Cell selected;
};
Cell heat_grid(const char* id, const HeatGrid& grid, ImVec2 size, bool& clicked);

// The same values as a picture, for grids with more cells than are worth drawing one by one.
Clip heat_picture(const std::vector<float>& values, int64_t rows, int64_t cols, float high);

}  // namespace zt::ui
