#include <algorithm>

#include "ui/state/parts.h"

namespace zt::ui {
namespace {

const AttentionTable* shown(const AppState& s) {
  auto found = s.inspector.tables.find(s.inspector.step);
  return found == s.inspector.tables.end() ? nullptr : &found->second;
}

bool sane(const AttentionTable& t) {
  constexpr int64_t kMost = 4096;
  if (t.layers < 1 || t.heads < 1 || t.layers > kMost || t.heads > kMost) return false;
  size_t cells = size_t(t.layers * t.heads);
  auto fits = [&](const std::vector<float>& v) { return v.empty() || v.size() == cells; };
  return fits(t.density) && fits(t.recall) && fits(t.time_ms);
}

bool sane(const AttentionMap& m) {
  constexpr int64_t kMost = 4096;
  if (m.rows < 1 || m.cols < 1 || m.rows > kMost || m.cols > kMost) return false;
  size_t cells = size_t(m.rows * m.cols);
  auto fits = [&](const std::vector<float>& v) { return v.empty() || v.size() == cells; };
  constexpr int64_t kMostSide = 1 << 14;
  if (std::max({m.grid_t, m.grid_h, m.grid_w}) > kMostSide) return false;
  auto names = [&](const std::vector<int32_t>& blocks, int64_t count) {
    bool inside = std::all_of(blocks.begin(), blocks.end(), [&](int32_t b) { return b >= 0 && b < count; });
    return blocks.empty() || (inside && int64_t(blocks.size()) == m.grid_t * m.grid_h * m.grid_w);
  };
  if (!names(m.query_block_of, m.rows) || !names(m.key_block_of, m.cols)) return false;
  return m.grid_t > 0 && m.grid_h > 0 && m.grid_w > 0 && m.query_block > 0 && m.key_block > 0 && fits(m.mass) && fits(m.kept);
}

}  // namespace

void take_table(AppState& s, const AttentionTable& table) {
  if (!sane(table)) return;
  Inspector& in = s.inspector;
  in.tables[table.step] = table;
  if (in.follow || !shown(s)) in.step = table.step;
  pick_cell(s, in.layer, in.head);
}

void take_map(AppState& s, const AttentionMap& map) {
  Inspector& in = s.inspector;
  if (!sane(map)) return;
  size_t cells = map.mass.size() + map.kept.size();
  // Plans that change at every step of a long job would fill the memory: then only the newest stay.
  constexpr size_t kMostCells = size_t(64) << 20;
  if (in.map_cells + cells > kMostCells) in.maps.clear(), in.true_maps.clear(), in.map_cells = 0;
  in.map_cells += cells;
  (map.mass.empty() ? in.maps : in.true_maps)[{map.layer, map.head, map.step}] = map;
}

MeasuredHead measured_head(const Inspector& in) { return in.true_attention ? MeasuredHead{in.layer, in.head} : MeasuredHead{}; }

const AttentionMap* shown_map(const Inspector& in) {
  const AttentionMap* best = nullptr;
  // A job that measures while a step runs shows the step before it.
  for (int64_t step = in.step; in.true_attention && step >= in.step - 1; --step) {
    auto found = in.true_maps.find({in.layer, in.head, step});
    if (found != in.true_maps.end()) return &found->second;
  }
  for (int64_t head : {in.head, int64_t(-1)}) {
    auto after = in.maps.upper_bound({in.layer, head, in.step});
    if (after == in.maps.begin()) continue;
    const AttentionMap& m = std::prev(after)->second;
    if (m.layer == in.layer && m.head == head && (!best || m.step > best->step)) best = &m;
  }
  return best;
}

void pick_step(AppState& s, int64_t step) {
  Inspector& in = s.inspector;
  if (in.tables.empty()) return;
  auto found = in.tables.lower_bound(step);
  if (found == in.tables.end()) --found;
  in.step = found->first;
  in.follow = in.step == in.tables.rbegin()->first;
}

void step_by(AppState& s, int by) {
  Inspector& in = s.inspector;
  auto found = in.tables.find(in.step);
  if (found == in.tables.end()) return;
  if (by < 0 && found != in.tables.begin()) --found;
  if (by > 0 && std::next(found) != in.tables.end()) ++found;
  pick_step(s, found->first);
}

void pick_cell(AppState& s, int64_t layer, int64_t head) {
  Inspector& in = s.inspector;
  const AttentionTable* table = shown(s);
  if (!table) return;
  layer = std::clamp<int64_t>(layer, 0, table->layers - 1), head = std::clamp<int64_t>(head, 0, table->heads - 1);
  if (layer != in.layer || head != in.head) in.query = -1;
  in.layer = layer, in.head = head;
}

Effects save_plan(AppState& s, const std::string& path) {
  if (path.empty()) return say(s, Notice::Kind::error, "name the plan file first"), Effects();
  if (s.form.method.name == kPlanFile) return say(s, Notice::Kind::error, "the plan is a file already"), Effects();
  s.form.plan_path = path;
  return {DeskRequest(WriteText{path, plan_file_text(s.form.spec.attn, s.form.pins)})};
}

}  // namespace zt::ui
