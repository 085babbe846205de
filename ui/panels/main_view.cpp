#include <algorithm>
#include <cstdio>

#define GLFW_INCLUDE_NONE
#include <GLFW/glfw3.h>

#include "ui/panels/panels.h"
#include "ui/state/buttons.h"

namespace zt::ui {
namespace {

struct Part {
  const char* name;
  void (*draw)(const Context&);
};
constexpr Part kParts[kPanels] = {
    {"Create", create_panel}, {"Viewer", viewer_panel}, {"Queue", queue_panel}, {"Attention", inspector_panel}};

bool begin_box(const char* name, const Box& box, bool scrolls, ImGuiWindowFlags more = 0) {
  constexpr ImGuiWindowFlags kFixed = ImGuiWindowFlags_NoTitleBar | ImGuiWindowFlags_NoResize | ImGuiWindowFlags_NoCollapse |
                                      ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoSavedSettings |
                                      ImGuiWindowFlags_NoBringToFrontOnFocus | ImGuiWindowFlags_NoBackground;
  ImGui::SetNextWindowPos({box.x, box.y});
  ImGui::SetNextWindowSize({std::max(box.w, 1.f), std::max(box.h, 1.f)});
  return ImGui::Begin(name, nullptr,
                      kFixed | more | (scrolls ? 0 : ImGuiWindowFlags_NoScrollbar | ImGuiWindowFlags_NoScrollWithMouse));
}

// Lines to the panels beside and below.
void outline(const Box& b) {
  ImU32 colour = ImGui::GetColorU32(ImGuiCol_Border);
  ImDrawList* draw = ImGui::GetBackgroundDrawList();
  draw->AddRectFilled({b.x + b.w, b.y}, {b.x + b.w + 1, b.y + b.h + 1}, colour);
  draw->AddRectFilled({b.x, b.y + b.h}, {b.x + b.w + 1, b.y + b.h + 1}, colour);
}

void tab_bar(const Context& c, const Box& box) {
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {em(0.2f), em(0.2f)});
  begin_box("##tabs", box, false, ImGuiWindowFlags_NoNav);
  float gap = em(0.2f), width = (ImGui::GetContentRegionAvail().x - gap * (kPanels - 1)) / kPanels;
  for (int i = 0; i < kPanels; ++i) {
    if (i) ImGui::SameLine(0, gap);
    bool on = int(c.state.focus) == i;
    if (on) ImGui::PushStyleColor(ImGuiCol_Button, ImGui::GetStyleColorVec4(ImGuiCol_TabActive));
    if (ImGui::Button(kParts[i].name, {width, 0})) c.act(OpenPanel{Panel(i)});
    if (on) ImGui::PopStyleColor();
  }
  ImGui::End();
  ImGui::PopStyleVar();
}

int key_code(int key) {
  constexpr int kSpecial[] = {GLFW_KEY_ENTER, GLFW_KEY_SPACE,  GLFW_KEY_LEFT,   GLFW_KEY_RIGHT, GLFW_KEY_HOME,
                              GLFW_KEY_END,   GLFW_KEY_ESCAPE, GLFW_KEY_DELETE, GLFW_KEY_F1,    GLFW_KEY_KP_ADD,
                              GLFW_KEY_MINUS, GLFW_KEY_UP,     GLFW_KEY_DOWN};
  return key >= Chord::enter ? kSpecial[key - Chord::enter] : key;
}

bool pressed(const Chord& chord) {
  const ImGuiIO& io = ImGui::GetIO();
  return chord.key != Chord::none && io.KeyCtrl == chord.ctrl && io.KeyShift == chord.shift &&
         ImGui::IsKeyPressed(key_code(chord.key), true);
}

void shortcuts(const Context& c) {
  const ImGuiIO& io = ImGui::GetIO();
  for (const Button& b : buttons()) {
    // Space and arrows belong to the control that the keyboard has walked to.
    bool walking = io.NavVisible && !b.key.ctrl && !b.while_typing;
    if ((walking || !pressed(b.key)) && !pressed(b.second)) continue;
    // Escape first ends what is being typed; plain keys belong to a control that is in use.
    bool typing = io.WantTextInput || (ImGui::IsAnyItemActive() && !b.key.ctrl);
    if (typing && !b.while_typing) continue;
    if (io.WantTextInput && b.name == "dismiss") continue;
    c.press(b.name);
  }
}

// Opened and closed by the state alone.
bool begin_dialog(const char* title, bool wanted) {
  if (wanted && !ImGui::IsPopupOpen(title)) ImGui::OpenPopup(title);
  ImVec2 screen = ImGui::GetIO().DisplaySize;
  ImGui::SetNextWindowPos({screen.x / 2, screen.y / 2}, ImGuiCond_Always, {0.5f, 0.5f});
  ImGui::SetNextWindowSizeConstraints({std::min(em(20), screen.x), 0}, screen);
  if (!ImGui::BeginPopupModal(title, nullptr, ImGuiWindowFlags_AlwaysAutoResize | ImGuiWindowFlags_NoSavedSettings)) return false;
  if (!wanted) ImGui::CloseCurrentPopup(), ImGui::EndPopup();
  return wanted;
}

void close_dialog(const Context& c) {
  if (!begin_dialog("Close?", c.state.dialog == Dialog::close)) return;
  ImGui::TextUnformatted("A job is running. If you close now it stops,\nand goes on from its last checkpoint next time.");
  ImGui::Dummy({0, em(0.4f)});
  if (primary_button("Keep it running", {em(10), 0})) c.act(AnswerClose{false});
  ImGui::SetItemDefaultFocus();
  ImGui::SameLine();
  if (ImGui::Button("Stop and close")) c.act(AnswerClose{true});
  ImGui::EndPopup();
}

void keys_dialog(const Context& c) {
  if (!begin_dialog("Keys", c.state.dialog == Dialog::keys)) return;
  for (const Button& b : buttons()) {
    if (b.key.key == Chord::none) continue;
    std::string second =
        b.second.key >= ' ' && b.second.key < Chord::enter && !b.second.ctrl ? " or " + chord_text(b.second) : "";
    ImGui::TextUnformatted((chord_text(b.key) + second).c_str());
    ImGui::SameLine(em(9));
    ImGui::TextDisabled("%s", b.help.data());
  }
  if (ImGui::Button("Close")) c.press("keys");
  ImGui::EndPopup();
}

}  // namespace

void draw_all(const Context& c) {
  ImVec2 screen = ImGui::GetIO().DisplaySize;
  Layout layout = make_layout(screen.x, screen.y, ImGui::GetFontSize(), c.state.focus, c.state.inspector_open);
  shortcuts(c);
  if (layout.tabs) tab_bar(c, layout.tab_bar);
  for (int i = 0; i < kPanels; ++i) {
    const Box& box = layout.panels[i];
    if (!box.shown()) continue;
    outline(box);
    if (c.state.focus_changed && int(c.state.focus) == i) ImGui::SetNextWindowFocus();
    // In a small window every panel scrolls as a whole.
    if (begin_box(kParts[i].name, box, layout.tabs)) kParts[i].draw(c);
    ImGui::End();
  }
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {em(0.8f), em(0.25f)});
  begin_box("##status", layout.status, false);
  status_bar(c);
  ImGui::End();
  ImGui::PopStyleVar();
  close_dialog(c);
  keys_dialog(c);
}

}  // namespace zt::ui
