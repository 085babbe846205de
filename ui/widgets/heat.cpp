#include "ui/widgets/heat.h"

#include <algorithm>
#include <cmath>

namespace zt::ui {
namespace {

// viridis (van der Walt and Smith, CC0) at every 32nd of its length.
constexpr uint32_t kViridis[] = {0x440154, 0x470d60, 0x48186a, 0x482374, 0x472d7b, 0x453781, 0x424086, 0x3e4989, 0x3b528b,
                                 0x375b8d, 0x33638d, 0x2f6b8e, 0x2c728e, 0x297a8e, 0x26828e, 0x23898e, 0x21918c, 0x1f978b,
                                 0x1f9f88, 0x21a685, 0x27ad81, 0x31b57b, 0x3dbc74, 0x4cc26c, 0x5cc863, 0x6ece58, 0x81d34d,
                                 0x95d840, 0xaadc32, 0xc0df25, 0xd5e21a, 0xeae51a, 0xfde725};
constexpr int kSteps = 32;

}  // namespace

uint32_t heat_rgb(float value) {
  float at = (std::isfinite(value) ? std::clamp(value, 0.f, 1.f) : 0.f) * kSteps;
  int low = std::min(int(at), kSteps - 1);
  float part = at - float(low);
  uint32_t rgb = 0;
  for (int shift : {16, 8, 0}) {
    float a = float(kViridis[low] >> shift & 255), b = float(kViridis[low + 1] >> shift & 255);
    rgb |= uint32_t(std::lround(a + (b - a) * part)) << shift;
  }
  return rgb;
}

ImU32 heat_colour(float value, float alpha) {
  uint32_t rgb = heat_rgb(value);
  return IM_COL32(rgb >> 16 & 255, rgb >> 8 & 255, rgb & 255, int(alpha * 255));
}

void heat_legend(const std::string& low, const std::string& high, float width) {
  ImGui::TextDisabled("%s", low.c_str());
  ImGui::SameLine();
  ImVec2 at = ImGui::GetCursorScreenPos();
  float height = ImGui::GetTextLineHeight() * 0.7f, top = at.y + ImGui::GetTextLineHeight() * 0.15f;
  for (int i = 0; i < kSteps; ++i) {
    float x0 = at.x + width * float(i) / kSteps, x1 = at.x + width * float(i + 1) / kSteps;
    ImU32 left = heat_colour(float(i) / kSteps), right = heat_colour(float(i + 1) / kSteps);
    ImGui::GetWindowDrawList()->AddRectFilledMultiColor({x0, top}, {x1, top + height}, left, right, right, left);
  }
  ImGui::Dummy({width, ImGui::GetTextLineHeight()});
  ImGui::SameLine();
  ImGui::TextDisabled("%s", high.c_str());
}

Cell heat_grid(const char* id, const HeatGrid& grid, ImVec2 size, bool& clicked) {
  ImVec2 at = ImGui::GetCursorScreenPos();
  size = {std::max(size.x, 1.f), std::max(size.y, 1.f)};
  clicked = ImGui::InvisibleButton(id, size);
  Cell under;
  if (grid.rows < 1 || grid.cols < 1) return under;
  float w = size.x / float(grid.cols), h = size.y / float(grid.rows);
  ImVec2 mouse = ImGui::GetIO().MousePos;
  if (ImGui::IsItemHovered()) {
    under.row = std::clamp(int64_t((mouse.y - at.y) / h), int64_t(0), grid.rows - 1);
    under.col = std::clamp(int64_t((mouse.x - at.x) / w), int64_t(0), grid.cols - 1);
  }
  ImDrawList* draw = ImGui::GetWindowDrawList();
  float gap = std::min(w, h) > 6 ? 1.f : 0.f;
  auto corner = [&](int64_t r, int64_t c) { return ImVec2(at.x + float(c) * w, at.y + float(r) * h); };
  for (int64_t r = 0; r < grid.rows; ++r) {
    for (int64_t c = 0; c < grid.cols; ++c) {
      ImVec2 a = corner(r, c), b = corner(r + 1, c + 1);
      float v = grid.values[r * grid.cols + c];
      ImVec2 inner = {b.x - gap, b.y - gap};
      if (v < 0) {
        draw->AddRect(a, inner, ImGui::GetColorU32(ImGuiCol_Border));
      } else {
        draw->AddRectFilled(a, inner, heat_colour(v));
      }
    }
  }
  auto frame = [&](Cell cell, float thickness) {
    if (!cell || cell.row >= grid.rows || cell.col >= grid.cols) return;
    ImVec2 a = corner(cell.row, cell.col), b = corner(cell.row + 1, cell.col + 1);
    draw->AddRect({a.x - 1, a.y - 1}, b, IM_COL32(0, 0, 0, 160), 0, 0, thickness + 2);
    draw->AddRect({a.x - 1, a.y - 1}, b, IM_COL32(255, 255, 255, 255), 0, 0, thickness);
  };
  frame(under, 1);
  frame(grid.selected, 2);
  return under;
}

Clip heat_picture(const std::vector<float>& values, int64_t rows, int64_t cols, float high) {
  auto clip = std::make_shared<ClipFrames>();
  clip->width = cols, clip->height = rows, clip->frames = 1;
  clip->rgb.reserve(values.size() * 3);
  float scale = high > 0 ? 1 / high : 1;
  for (float v : values) {
    uint32_t rgb = heat_rgb(v * scale);
    for (int shift : {16, 8, 0}) clip->rgb.push_back(uint8_t(rgb >> shift & 255));
  }
  return clip;
}

}  // namespace zt::ui
