// One head's attention over blocks, and the keys of one query block in the picture.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "ui/panels/panels.h"
#include "ui/widgets/heat.h"
#include "ui/widgets/picture.h"

namespace zt::ui {
namespace {

float mass_at(const AttentionMap& m, int64_t row, int64_t col) {
  return m.mass.empty() ? -1 : m.mass[size_t(row * m.cols + col)];
}
float kept_at(const AttentionMap& m, int64_t row, int64_t col) { return m.kept.empty() ? 1 : m.kept[size_t(row * m.cols + col)]; }

int64_t query_block_of(const AttentionMap& m, int64_t token) {
  return m.query_block_of.empty() ? token / m.query_block : m.query_block_of[size_t(token)];
}
int64_t key_block_of(const AttentionMap& m, int64_t token) {
  return m.key_block_of.empty() ? token / m.key_block : m.key_block_of[size_t(token)];
}

// Blocks follow the tokens: then a frame is a stretch of them.
bool in_place(const AttentionMap& m) {
  return std::is_sorted(m.query_block_of.begin(), m.query_block_of.end()) &&
         std::is_sorted(m.key_block_of.begin(), m.key_block_of.end());
}

// Mass spans decades: its square root shows the weak blocks, too.
Clip coloured(const AttentionMap& m) {
  std::vector<float> values(size_t(m.rows * m.cols));
  float most = 0;
  for (float v : m.mass) most = std::max(most, v);
  for (size_t i = 0; i < values.size(); ++i) {
    float kept = m.kept.empty() ? 1 : m.kept[i];
    values[i] = m.mass.empty() ? kept : std::sqrt(std::max(m.mass[i], 0.f) / std::max(most, 1e-12f)) * (kept > 0 ? 1.f : 0.45f);
  }
  return heat_picture(values, m.rows, m.cols, 1);
}

const Clip& picture_of(const Context& c, const AttentionMap& m) {
  std::tuple key{m.step, m.layer, m.head};
  const void* source = m.kept.empty() ? static_cast<const void*>(m.mass.data()) : m.kept.data();
  if (!c.memo.map_picture || c.memo.map_key != key || c.memo.map_source != source) {
    c.memo.map_picture = coloured(m), c.memo.map_key = key, c.memo.map_source = source;
  }
  return c.memo.map_picture;
}

std::string numbers_of(const AttentionMap& m, int64_t row, int64_t col) {
  std::string out = "queries: block " + std::to_string(row) + "\nkeys: block " + std::to_string(col);
  float mass = mass_at(m, row, col), kept = kept_at(m, row, col);
  char text[48];
  std::snprintf(text, sizeof text, "\nmass %.4g", double(mass));
  if (mass >= 0) out += text;
  return out + (kept > 0 ? "\nkept: " + density_text(double(kept)) : "\nleft out");
}

// Lines where a frame of tokens begins.
void frame_lines(const AttentionMap& m, const Placed& p) {
  if (!in_place(m)) return;
  ImDrawList* draw = ImGui::GetWindowDrawList();
  ImU32 faint = IM_COL32(255, 255, 255, 70);
  for (int64_t t = 1; t < m.grid_t; ++t) {
    float token = float(t * m.grid_h * m.grid_w);
    float x = p.min.x + p.width() * token / float(m.cols * m.key_block),
          y = p.min.y + p.height() * token / float(m.rows * m.query_block);
    if (x < p.max.x) draw->AddLine({x, p.min.y}, {x, p.max.y}, faint);
    if (y < p.max.y) draw->AddLine({p.min.x, y}, {p.max.x, y}, faint);
  }
}

void block_map(const Context& c, const AttentionMap& m, int64_t q, ImVec2 box) {
  float side = std::max(std::min(box.x, box.y), em(3));
  ImVec2 at = ImGui::GetCursorScreenPos();
  bool clicked = ImGui::InvisibleButton("##blocks", {side, side});
  Placed p{at, {at.x + side, at.y + side}};
  ImDrawList* draw = ImGui::GetWindowDrawList();
  draw->AddImage(c.textures.show("block map", picture_of(c, m), 0, false), p.min, p.max);
  frame_lines(m, p);
  float h = p.height() / float(m.rows);
  draw->AddRect({p.min.x, p.min.y + h * float(q)}, {p.max.x, p.min.y + std::max(h * float(q + 1), h * float(q) + 2)},
                IM_COL32_WHITE, 0, 0, 1.5f);
  if (!ImGui::IsItemHovered()) return;
  ImVec2 mouse = ImGui::GetIO().MousePos;
  int64_t row = std::clamp(int64_t((mouse.y - p.min.y) / h), int64_t(0), m.rows - 1);
  int64_t col = std::clamp(int64_t((mouse.x - p.min.x) / p.width() * float(m.cols)), int64_t(0), m.cols - 1);
  tip(numbers_of(m, row, col));
  if (clicked) c.act(PickQuery{row});
}

// Frames of tokens side by side, over the clip where there is one; keys that block `q` keeps are lit, the query block is
// framed.
void keys_in_picture(const Context& c, const AttentionMap& m, int64_t q, ImVec2 box) {
  const Viewer& v = c.state.viewer;
  const Clip& under = v.show_live && v.live ? v.live : v.a;
  float ratio = float(m.grid_w) / float(m.grid_h), gap = em(0.25f);
  // As many columns as make the frames largest.
  int64_t columns = 1;
  float best = 0;
  for (int64_t n = 1; n <= m.grid_t; ++n) {
    int64_t rows = (m.grid_t + n - 1) / n;
    float w = std::min((box.x - gap * float(n - 1)) / float(n), (box.y / float(rows) - gap) * ratio);
    if (w > best) best = w, columns = n;
  }
  if (best < 4) return;
  float w = best, h = best / ratio;
  ImVec2 at = ImGui::GetCursorScreenPos();
  ImDrawList* draw = ImGui::GetWindowDrawList();
  float most = 0;
  for (int64_t k = 0; k < m.cols; ++k) most = std::max(most, mass_at(m, q, k));
  for (int64_t t = 0; t < m.grid_t; ++t) {
    ImVec2 a = {at.x + float(t % columns) * (w + gap), at.y + float(t / columns) * (h + gap)}, b = {a.x + w, a.y + h};
    if (under) {
      int64_t frame = m.grid_t > 1 ? t * (under->frames - 1) / (m.grid_t - 1) : 0;
      draw->AddImage(c.textures.show("keys " + std::to_string(t), under, frame, true), a, b);
    }
    draw->AddRectFilled(a, b, IM_COL32(0, 0, 0, under ? 130 : 255));
    float cw = w / float(m.grid_w), ch = h / float(m.grid_h);
    for (int64_t y = 0; y < m.grid_h; ++y) {
      // Runs of tokens of one key block are one rectangle.
      int64_t first = (t * m.grid_h + y) * m.grid_w;
      for (int64_t x = 0, end = 0; x < m.grid_w; x = end) {
        int64_t block = key_block_of(m, first + x);
        for (end = x + 1; end < m.grid_w && key_block_of(m, first + end) == block; ++end) {
        }
        if (block >= m.cols || kept_at(m, q, block) <= 0) continue;
        float mass = mass_at(m, q, block);
        float shade = mass < 0 ? 0.25f + 0.6f * kept_at(m, q, block) : std::sqrt(mass / std::max(most, 1e-12f));
        draw->AddRectFilled({a.x + float(x) * cw, a.y + float(y) * ch}, {a.x + float(end) * cw, a.y + float(y + 1) * ch},
                            heat_colour(shade, under ? 0.6f : 0.9f));
      }
      for (int64_t x = 0; x < m.grid_w; ++x) {
        if (query_block_of(m, first + x) != q) continue;
        draw->AddRect({a.x + float(x) * cw, a.y + float(y) * ch}, {a.x + float(x + 1) * cw, a.y + float(y + 1) * ch},
                      IM_COL32(255, 255, 255, 200));
      }
    }
  }
  ImGui::Dummy({box.x, float((m.grid_t + columns - 1) / columns) * (h + gap)});
}

}  // namespace

void map_view(const Context& c, ImVec2 size) {
  const Inspector& in = c.state.inspector;
  const AttentionMap* map = shown_map(in);
  if (!map) {
    auto table = in.tables.find(in.step);
    bool dense = table != in.tables.end() && !table->second.density.empty() &&
                 table->second.density[size_t(in.layer * table->second.heads + in.head)] >= 1;
    wrapped(ImGui::GetStyleColorVec4(ImGuiCol_TextDisabled),
            in.true_attention ? "The true attention of this head comes with the next step of a running job."
            : dense           ? "This head reads every key. \"True attention\" measures where it looks." : "No block map of this head was captured.");
    return;
  }
  const AttentionMap& m = *map;
  size.y = ImGui::GetContentRegionAvail().y;
  if (size.y < em(3)) return;
  float side = std::min(size.y - em(0.3f), size.x * 0.5f);
  int64_t query = in.query >= 0 && in.query < m.rows ? in.query : m.rows / 2;
  block_map(c, m, query, {side, side});
  ImGui::SameLine(0, em(0.8f));
  ImGui::BeginGroup();
  ImGui::TextDisabled("%s", shortened("keys of query block " + std::to_string(query), ImGui::GetContentRegionAvail().x).c_str());
  tip("queries down, keys across; click a row of the map to choose another query block");
  keys_in_picture(c, m, query, ImGui::GetContentRegionAvail());
  ImGui::EndGroup();
}

}  // namespace zt::ui
