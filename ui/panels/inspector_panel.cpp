#include <algorithm>
#include <cmath>
#include <cstdio>

#include "ui/panels/panels.h"
#include "ui/widgets/heat.h"

namespace zt::ui {
namespace {

std::string decimals(float v, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, double(v));
  return text;
}

// One quantity of the table with the ends of its colour bar.
struct Shown {
  const std::vector<float>* values = nullptr;
  float low = 0, high = 1;
  std::string low_text, high_text;
};

Shown choose(const AttentionTable& t, CellColour colour) {
  Shown s;
  if (colour == CellColour::density) return {&t.density, 0, 1, "0%", "100%"};
  if (colour == CellColour::time) {
    for (float v : t.time_ms) s.high = std::max(s.values ? s.high : 0.f, v), s.values = &t.time_ms;
    return {&t.time_ms, 0, std::max(s.high, 1e-6f), "0 ms", decimals(s.high, 2) + " ms"};
  }
  // Recalls lie close to 1: the bar begins at the tenth below the smallest.
  float least = 1;
  for (float v : t.recall) {
    if (v >= 0) least = std::min(least, v);
  }
  float low = std::clamp(std::floor(least * 10) / 10, 0.f, 0.9f);
  return {&t.recall, low, 1, decimals(low, 1), "1"};
}

std::string numbers_of(const AttentionTable& t, int64_t layer, int64_t head) {
  size_t at = size_t(layer * t.heads + head);
  std::string text = "layer " + std::to_string(layer) + ", head " + std::to_string(head);
  if (!t.density.empty()) text += "\ndensity " + density_text(double(t.density[at]));
  text += t.recall.empty() || t.recall[at] < 0 ? "\nrecall not measured" : "\nrecall " + decimals(t.recall[at], 3);
  if (!t.time_ms.empty()) text += "\n" + decimals(t.time_ms[at], 2) + " ms";
  return text;
}

void controls(const Context& c, const AttentionTable* table) {
  const Inspector& in = c.state.inspector;
  struct Choice {
    const char* name;
    CellColour colour;
  };
  constexpr Choice kChoices[] = {{"Density", CellColour::density}, {"Recall", CellColour::recall}, {"Time", CellColour::time}};
  for (const Choice& choice : kChoices) {
    if (toggle_button(choice.name, in.colour == choice.colour)) c.act(ColourBy{choice.colour});
    ImGui::SameLine(0, em(0.25f));
  }
  ImGui::SameLine(0, em(1));
  if (named_button("true-attention", nullptr, in.true_attention)) c.press("true-attention");
  ImGui::SameLine(0, em(1));
  ImGui::BeginDisabled(!table);
  int step = int(in.step), last = table ? int(in.tables.rbegin()->first) : 0, first = table ? int(in.tables.begin()->first) : 0;
  std::string of = " of " + std::to_string(table ? std::max<int64_t>(table->steps, last) : 0);
  float width = std::clamp(ImGui::GetContentRegionAvail().x, em(4), em(16));
  ImGui::SetNextItemWidth(width);
  if (last <= first) {
    progress(0, {width, 0}, table ? "step " + std::to_string(step) + of : "no steps yet");
  } else if (ImGui::SliderInt("##step", &step, first, last, ("step %d" + of).c_str(),
                              ImGuiSliderFlags_AlwaysClamp | ImGuiSliderFlags_NoInput))
    c.act(PickStep{step});
  tip("Ctrl+Left and Ctrl+Right go through the steps");
  ImGui::EndDisabled();
  if (in.sample) {
    ImGui::SameLine();
    ImGui::TextDisabled("sample data");
  }
}

void cells(const Context& c, const AttentionTable& t, ImVec2 size) {
  const Inspector& in = c.state.inspector;
  Shown shown = choose(t, in.colour);
  std::vector<float> scaled(size_t(t.layers * t.heads), -1.f);
  for (size_t i = 0; i < shown.values->size(); ++i) {
    float v = (*shown.values)[i];
    if (v >= 0) scaled[i] = std::clamp((v - shown.low) / (shown.high - shown.low), 0.f, 1.f);
  }
  bool any = std::any_of(scaled.begin(), scaled.end(), [](float v) { return v >= 0; });
  if (any) {
    heat_legend(shown.low_text, shown.high_text, std::clamp(size.x - em(14), em(3), em(8)));
    ImGui::SameLine(0, em(1));
  }
  ImGui::TextDisabled(any ? "layers by heads" : "not measured in this run");
  // Cells are no flatter or narrower than twice their other side.
  float used = ImGui::GetTextLineHeightWithSpacing() + ImGui::GetTextLineHeight();
  float w = size.x / float(t.heads), h = std::max(size.y - used, em(2)) / float(t.layers);
  w = std::min(w, 2.5f * h), h = std::min(h, 2.5f * w);
  bool clicked = false;
  Cell under = heat_grid("##cells", {t.layers, t.heads, scaled.data(), {in.layer, in.head}},
                         {w * float(t.heads), h * float(t.layers)}, clicked);
  if (under) tip(numbers_of(t, under.row, under.col));
  if (clicked && under) c.act(PickCell{under.row, under.col});
}

void pin_tools(const Context& c, const AttentionTable& t) {
  const Inspector& in = c.state.inspector;
  ImGui::AlignTextToFramePadding();
  ImGui::Text("Layer %lld, head %lld", static_cast<long long>(in.layer), static_cast<long long>(in.head));
  tip(numbers_of(t, in.layer, in.head));
  ImGui::SameLine();
  ImGui::SetNextItemWidth(em(7));
  if (ImGui::BeginCombo("##pin", c.memo.pin_method.c_str())) {
    for (const MethodInfo& m : c.state.methods) {
      if (ImGui::Selectable(m.name.c_str(), m.name == c.memo.pin_method)) c.memo.pin_method = m.name;
      tip(m.summary);
    }
    ImGui::EndCombo();
  }
  // The form's own parameters where it is the form's method.
  std::string spec =
      c.memo.pin_method == c.state.form.method.name ? method_spec(c.state.form.method, c.state.methods) : c.memo.pin_method;
  bool narrow = ImGui::GetWindowContentRegionMax().x < em(24);
  if (!narrow) ImGui::SameLine(0, em(0.25f));
  if (ImGui::Button("Pin head")) c.act(AddPin{{in.layer, in.head, spec}});
  tip("this head gets this method in the next run");
  ImGui::SameLine(0, em(0.25f));
  if (ImGui::Button("Pin layer")) c.act(AddPin{{in.layer, -1, spec}});
  tip("all heads of this layer get this method in the next run");
  if (c.state.form.pins.empty()) return;
  if (!narrow) ImGui::SameLine(0, em(0.8f));
  std::string path = c.state.form.plan_path.empty() ? c.state.output_folder + "/plan.toml" : c.state.form.plan_path, text;
  if (ImGui::Button("Save plan")) c.act(SavePlan{path});
  tip("write method and pins as " + path);
  ImGui::SameLine(0, em(0.25f));
  if (text_box("##plan path", path, -1, c.memo.drafts, text)) c.act(SavePlan{text});
}

}  // namespace

void inspector_panel(const Context& c) {
  const Inspector& in = c.state.inspector;
  auto found = in.tables.find(in.step);
  const AttentionTable* table = found == in.tables.end() ? nullptr : &found->second;
  controls(c, table);
  if (!table) {
    wrapped(ImGui::GetStyleColorVec4(ImGuiCol_TextDisabled),
            "Attention of each step shows here while a job runs: a cell for every layer and head.");
    return;
  }
  ImVec2 room = ImGui::GetContentRegionAvail();
  bool beside = room.x > em(30);
  float left = beside ? std::min(room.x * 0.42f, em(30)) : room.x;
  float height = beside ? room.y : std::max(room.y * 0.5f, em(8));
  ImGui::BeginChild("##table", {left, height}, false, ImGuiWindowFlags_NavFlattened);
  cells(c, *table, ImGui::GetContentRegionAvail());
  ImGui::EndChild();
  if (beside) ImGui::SameLine(0, em(0.8f));
  ImGui::BeginChild("##map", {0, beside ? height : 0}, false, ImGuiWindowFlags_NavFlattened);
  pin_tools(c, *table);
  map_view(c, ImGui::GetContentRegionAvail());
  ImGui::EndChild();
}

}  // namespace zt::ui
