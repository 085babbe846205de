#include "ui/widgets/picture.h"

#include <algorithm>

#include "ui/widgets/controls.h"

namespace zt::ui {

Placed fit(ImVec2 at, ImVec2 box, int64_t width, int64_t height) {
  float scale = std::max(std::min(box.x / float(std::max<int64_t>(width, 1)), box.y / float(std::max<int64_t>(height, 1))), 0.f);
  ImVec2 size = {float(width) * scale, float(height) * scale};
  ImVec2 min = {at.x + (box.x - size.x) / 2, at.y + (box.y - size.y) / 2};
  return {min, {min.x + size.x, min.y + size.y}};
}

void wipe_picture(Textures& textures, const Clip& a, int64_t frame_a, const Clip& b, int64_t frame_b, float share,
                  const Placed& p) {
  ImDrawList* draw = ImGui::GetWindowDrawList();
  float cut = b ? share : 1, x = p.min.x + p.width() * cut;
  // Large pixels are shown as pixels once they are larger than a text line: then one looks at pixels.
  bool smooth = p.width() < float(a->width) * ImGui::GetFontSize();
  draw->AddImage(textures.show("viewer a", a, frame_a, smooth), p.min, {x, p.max.y}, {0, 0}, {cut, 1});
  if (!b) return;
  draw->AddImage(textures.show("viewer b", b, frame_b, smooth), {x, p.min.y}, p.max, {cut, 0}, {1, 1});
  draw->AddLine({x, p.min.y}, {x, p.max.y}, IM_COL32(0, 0, 0, 140), 4);
  draw->AddLine({x, p.min.y}, {x, p.max.y}, IM_COL32(255, 255, 255, 230), 2);
  draw->AddCircleFilled({x, (p.min.y + p.max.y) / 2}, em(0.55f), IM_COL32(255, 255, 255, 230));
}

void label_at(ImVec2 at, const char* text) {
  ImVec2 size = ImGui::CalcTextSize(text);
  float pad = em(0.35f);
  ImDrawList* draw = ImGui::GetWindowDrawList();
  draw->AddRectFilled(at, {at.x + size.x + 2 * pad, at.y + size.y + pad}, IM_COL32(0, 0, 0, 150), em(0.3f));
  draw->AddText({at.x + pad, at.y + pad / 2}, IM_COL32(255, 255, 255, 240), text);
}

}  // namespace zt::ui
