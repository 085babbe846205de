#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "ui/panels/panels.h"

namespace zt::ui {
namespace {

std::string value_of(const MethodChoice& choice, const MethodParameter& p) {
  auto found = choice.values.find(p.name);
  return found == choice.values.end() ? p.fallback : found->second;
}

double number(const std::string& text) {
  double v = 0;
  std::from_chars(text.data(), text.data() + text.size(), v);
  return v;
}

// The control its type asks for; the range is the table's.
void parameter_row(const Context& c, const MethodParameter& p, float column) {
  std::string now = value_of(c.state.form.method, p), id = "##" + p.name, text;
  std::string help = p.help + (p.unit.empty() ? "" : " (" + p.unit + ")") + ", default " + p.fallback;
  std::string label = p.name;
  std::replace(label.begin(), label.end(), '_', ' ');
  row_label(label.c_str(), help.c_str(), column);
  using T = MethodParameter::Type;
  constexpr double kWideRange = 1000;  // a slider over more cannot be aimed
  switch (p.type) {
    case T::fraction: {
      float v = float(number(now));
      if (p.high - p.low > kWideRange) {
        if (text_box(id.c_str(), now, -1, c.memo.drafts, text)) c.act(SetParameter{p.name, text});
      } else if (ImGui::SliderFloat(id.c_str(), &v, float(p.low), float(p.high), "%.3g", ImGuiSliderFlags_AlwaysClamp)) {
        char out[32];
        std::snprintf(out, sizeof out, "%.3g", double(v));
        c.act(SetParameter{p.name, out});
      }
      break;
    }
    case T::integer: {
      int v = int(number(now));
      if (p.high - p.low > kWideRange) {
        ImGui::SetNextItemWidth(-1);
        if (ImGui::InputInt(id.c_str(), &v, 1, 16))
          c.act(SetParameter{p.name, std::to_string(std::clamp(int64_t(v), int64_t(p.low), int64_t(p.high)))});
      } else if (ImGui::SliderInt(id.c_str(), &v, int(p.low), int(p.high), "%d", ImGuiSliderFlags_AlwaysClamp)) {
        c.act(SetParameter{p.name, std::to_string(v)});
      }
      break;
    }
    case T::thw:
      if (text_box(id.c_str(), now, -1, c.memo.drafts, text)) c.act(SetParameter{p.name, text});
      break;
    case T::choice:
      if (ImGui::BeginCombo(id.c_str(), now.c_str())) {
        for (const std::string& choice : p.choices) {
          if (ImGui::Selectable(choice.c_str(), choice == now)) c.act(SetParameter{p.name, choice});
        }
        ImGui::EndCombo();
      }
      break;
    case T::boolean: {
      bool on = now == "1";
      if (ImGui::Checkbox(id.c_str(), &on)) c.act(SetParameter{p.name, on ? "1" : "0"});
      break;
    }
  }
  tip(help);
}

void method_row(const Context& c, const MethodInfo* method) {
  const Form& form = c.state.form;
  row_label("Method", "how queries and keys meet; dense is exact, the others leave out pairs to be faster");
  if (ImGui::BeginCombo("##method", method                          ? method->name.c_str()
                                    : form.method.name == kPlanFile ? "plan file"
                                                                    : form.method.name.c_str())) {
    for (const MethodInfo& m : c.state.methods) {
      if (ImGui::Selectable(m.name.c_str(), m.name == form.method.name)) c.act(SetMethod{m.name});
      tip(m.summary + ". " + m.citation + (m.needs_trained_weights ? "\nNeeds weights trained for it." : ""));
    }
    if (ImGui::Selectable("plan file", form.method.name == kPlanFile)) c.act(SetMethod{std::string(kPlanFile)});
    tip("a file with a method for each layer, head and step, such as \"Save plan\" writes");
    ImGui::EndCombo();
  }
  if (!method) return;
  tip(method->summary + ". " + method->citation);
}

void pins(const Context& c) {
  const std::vector<Pin>& all = c.state.form.pins;
  if (all.empty()) return;
  ImGui::TextDisabled("%zu pinned", all.size());
  ImGui::SameLine();
  if (named_button("clear-pins", "Clear")) c.press("clear-pins");
  for (size_t i = 0; i < all.size(); ++i) {
    ImGui::PushID(int(i));
    std::string head = all[i].head < 0 ? "all heads" : "head " + std::to_string(all[i].head);
    if (ImGui::SmallButton("x")) c.act(RemovePin{i});
    ImGui::SameLine();
    ImGui::Text("layer %lld, %s: %s", static_cast<long long>(all[i].layer), head.c_str(), all[i].attn.c_str());
    ImGui::PopID();
  }
}

}  // namespace

void attention_form(const Context& c) {
  const Form& form = c.state.form;
  heading("Attention");
  const MethodInfo* method = find_method(c.state.methods, form.method.name);
  method_row(c, method);
  std::string text;
  if (form.method.name == kPlanFile) {
    auto file = form.method.values.find("file");
    row_label("File", "a plan file (.toml); it can also be dropped on the window");
    if (text_box("##plan", file == form.method.values.end() ? "" : file->second, -1, c.memo.drafts, text))
      c.act(SetParameter{"file", text});
  }
  if (method && method->name != "dense") {
    wrapped(ImGui::GetStyleColorVec4(ImGuiCol_TextDisabled), method->summary);
    float column = em(6);
    for (const MethodParameter& p : method->parameters)
      column = std::max(column, ImGui::CalcTextSize(p.name.c_str()).x + em(0.7f));
    for (const MethodParameter& p : method->parameters) parameter_row(c, p, column);
    if (!method->advice.empty()) {
      wrapped(ImGui::GetStyleColorVec4(ImGuiCol_TextDisabled), method->advice);
    }
  }
  bool measure = form.measure;
  row_label("Recall",
            "how much of dense attention's mass each head keeps, for the inspector and a report beside the clip; slower");
  if (ImGui::Checkbox("measure##recall", &measure)) c.press("measure");
  pins(c);
}

float cost_height(const AppState& state, float width) {
  const auto& e = state.estimate;
  float line = ImGui::GetTextLineHeightWithSpacing();
  auto wrapped_height = [&](const std::string& text) {
    return text.empty() ? 0 : ImGui::CalcTextSize(text.c_str(), nullptr, false, width).y + ImGui::GetStyle().ItemSpacing.y;
  };
  if (e && !e->problem.empty()) return std::max(2 * line, wrapped_height(e->problem));
  return 2 * line + (e ? wrapped_height(e->warning) : 0);
}

void cost_form(const Context& c) {
  const auto& e = c.state.estimate;
  const ImVec4 faint = ImGui::GetStyleColorVec4(ImGuiCol_TextDisabled);
  if (e && !e->problem.empty()) return wrapped(error_colour(), e->problem);
  double expected = expected_seconds(c.state);
  std::string time = expected < 0 ? "time unknown" : "about " + clock_text(expected);
  ImGui::TextUnformatted(time.c_str());
  tip("from the steps of earlier jobs with the same work on this machine; unknown until one has run");
  if (!e) return;
  ImGui::SameLine(0, 0);
  ImGui::TextColored(faint, ",  %s of %s", size_text(e->peak_mb).c_str(), size_text(e->available_mb).c_str());
  tip("memory at the job's peak, and what this machine has free");
  ImGui::TextColored(faint, "%lld tokens,  density %s", static_cast<long long>(e->tokens),
                     e->density < 0 ? "decided while it runs" : density_text(e->density).c_str());
  tip("tokens that attend to each other (" + std::to_string(e->layers) + " layers, " + std::to_string(e->heads) +
      " heads); the share of query-key pairs the plan keeps after any dense warm-up");
  if (!e->warning.empty()) wrapped(warning_colour(), e->warning);
}

}  // namespace zt::ui
