#include "ui/widgets/controls.h"

#include <imgui_stdlib.h>

#include <algorithm>

#include "ui/state/buttons.h"

namespace zt::ui {
namespace {

// Breaks lines by turning spaces into line ends, one for one, so that no position in the text moves.
void wrap_in_place(char* text, size_t length, float width) {
  for (size_t i = 0; i < length; ++i) {
    if (text[i] == '\n') text[i] = ' ';
  }
  float used = 0, space = ImGui::CalcTextSize(" ").x;
  size_t last_space = length;
  for (size_t begin = 0; begin < length;) {
    size_t end = begin;
    while (end < length && text[end] != ' ') ++end;
    float word = ImGui::CalcTextSize(text + begin, text + end).x;
    if (used > 0 && used + word > width && last_space < length) {
      text[last_space] = '\n';
      used = 0;
    }
    used += word + space;
    last_space = end;
    begin = end + 1;
  }
}

int rewrap(ImGuiInputTextCallbackData* data) {
  wrap_in_place(data->Buf, size_t(data->BufTextLen), *static_cast<float*>(data->UserData));
  data->BufDirty = true;
  return 0;
}

}  // namespace

float em(float n) { return n * ImGui::GetFontSize(); }

void heading(const char* text) {
  ImGui::Dummy({0, em(0.2f)});
  ImGui::TextUnformatted(text);
  ImGui::Separator();
}

void tip(std::string_view text) {
  if (text.empty() || !ImGui::IsItemHovered(ImGuiHoveredFlags_AllowWhenDisabled)) return;
  ImGui::BeginTooltip();
  ImGui::PushTextWrapPos(em(26));
  ImGui::TextUnformatted(text.data(), text.data() + text.size());
  ImGui::PopTextWrapPos();
  ImGui::EndTooltip();
}

void progress(float share, ImVec2 size, const std::string& text) {
  ImVec2 at = ImGui::GetCursorScreenPos();
  ImGui::ProgressBar(share, size, "");
  ImVec2 max = ImGui::GetItemRectMax();
  std::string shown = shortened(text, max.x - at.x);
  ImVec2 extent = ImGui::CalcTextSize(shown.c_str());
  ImGui::GetWindowDrawList()->AddText({(at.x + max.x - extent.x) / 2, (at.y + max.y - extent.y) / 2},
                                      ImGui::GetColorU32(ImGuiCol_Text), shown.c_str());
}

void row_label(const char* text, const char* help, float column) {
  ImGui::AlignTextToFramePadding();
  float left = ImGui::GetCursorPosX();
  ImGui::TextDisabled("%s", text);
  tip(help);
  ImGui::SameLine(left + (column > 0 ? column : em(6)));
  ImGui::SetNextItemWidth(-1);
}

ImVec4 error_colour() {
  bool dark = ImGui::GetStyleColorVec4(ImGuiCol_WindowBg).x < 0.5f;
  return dark ? ImVec4(0.95f, 0.47f, 0.42f, 1) : ImVec4(0.72f, 0.13f, 0.1f, 1);
}

ImVec4 warning_colour() {
  bool dark = ImGui::GetStyleColorVec4(ImGuiCol_WindowBg).x < 0.5f;
  return dark ? ImVec4(0.91f, 0.7f, 0.28f, 1) : ImVec4(0.55f, 0.36f, 0, 1);
}

void wrapped(const ImVec4& colour, const std::string& text) {
  ImGui::PushStyleColor(ImGuiCol_Text, colour);
  ImGui::PushTextWrapPos(0);
  ImGui::TextUnformatted(text.data(), text.data() + text.size());
  ImGui::PopTextWrapPos();
  ImGui::PopStyleColor();
}

bool primary_button(const char* label, ImVec2 size, bool enabled) {
  ImVec4 accent = ImGui::GetStyleColorVec4(ImGuiCol_CheckMark);
  ImVec4 bright = {std::min(accent.x * 1.15f, 1.f), std::min(accent.y * 1.15f, 1.f), std::min(accent.z * 1.15f, 1.f), 1};
  ImGui::PushStyleColor(ImGuiCol_Button, accent);
  ImGui::PushStyleColor(ImGuiCol_ButtonHovered, bright);
  ImGui::PushStyleColor(ImGuiCol_ButtonActive, accent);
  ImGui::PushStyleColor(ImGuiCol_Text, {1, 1, 1, 1});
  ImGui::BeginDisabled(!enabled);
  bool pressed = ImGui::Button(label, size);
  ImGui::EndDisabled();
  ImGui::PopStyleColor(4);
  return pressed;
}

bool toggle_button(const char* label, bool on) {
  if (on) ImGui::PushStyleColor(ImGuiCol_Button, ImGui::GetStyleColorVec4(ImGuiCol_TabActive));
  bool pressed = ImGui::Button(label);
  if (on) ImGui::PopStyleColor();
  return pressed;
}

std::string shortened(std::string_view text, float width) {
  // No line of the window shows more; measuring a long prompt on every frame would cost for nothing.
  constexpr size_t kMost = 400;
  std::string out(text.substr(0, kMost));
  std::replace(out.begin(), out.end(), '\n', ' ');
  if (text.size() <= kMost && ImGui::CalcTextSize(out.c_str()).x <= width) return out;
  float dots = ImGui::CalcTextSize("...").x;
  const char* rest = nullptr;
  ImGui::GetFont()->CalcTextSizeA(ImGui::GetFontSize(), std::max(width - dots, 0.f), 0, out.data(), out.data() + out.size(),
                                  &rest);
  return out.substr(0, size_t(rest - out.data())) + "...";
}

bool text_box(const char* id, const std::string& now, float width, Drafts& drafts, std::string& out) {
  ImGuiID key = ImGui::GetID(id);
  auto draft = drafts.find(key);
  std::string text = draft == drafts.end() ? now : draft->second;
  ImGui::SetNextItemWidth(width);
  bool entered = ImGui::InputText(id, &text, ImGuiInputTextFlags_EnterReturnsTrue | ImGuiInputTextFlags_AutoSelectAll);
  bool left = ImGui::IsItemDeactivatedAfterEdit();
  if (entered || left) {
    drafts.erase(key);
    out = text;
    return text != now;
  }
  if (ImGui::IsItemActive()) {
    drafts[key] = text;
  } else {
    drafts.erase(key);
  }
  return false;
}

bool prompt_box(const char* id, const std::string& now, ImVec2 size, std::string& out) {
  float width = (size.x > 0 ? size.x : ImGui::GetContentRegionAvail().x) - 2 * ImGui::GetStyle().FramePadding.x -
                ImGui::GetStyle().ScrollbarSize - em(0.3f);
  std::string text = now;
  wrap_in_place(text.data(), text.size(), width);
  bool edited = ImGui::InputTextMultiline(
      id, &text, size, ImGuiInputTextFlags_CallbackEdit | ImGuiInputTextFlags_NoHorizontalScroll, rewrap, &width);
  if (!edited) return false;
  std::replace(text.begin(), text.end(), '\n', ' ');
  out = std::move(text);
  return out != now;
}

bool named_button(std::string_view name, const char* label, bool on) {
  const Button* b = find_button(name);
  if (!b) return false;
  std::string shown = label ? label : std::string(b->label);
  bool pressed = toggle_button((shown + "##" + std::string(name)).c_str(), on);
  std::string key = chord_text(b->key);
  tip(std::string(b->help) + (key.empty() ? "" : "  (" + key + ")"));
  return pressed;
}

}  // namespace zt::ui
