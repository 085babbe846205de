#include "ui/platform/look.h"

#include <imgui.h>
#include <imgui_freetype.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#define GLFW_INCLUDE_NONE
#include <GLFW/glfw3.h>

namespace zt::ui {
namespace {

ImVec4 colour(unsigned rgb, float alpha = 1) {
  return {float(rgb >> 16 & 255) / 255.f, float(rgb >> 8 & 255) / 255.f, float(rgb & 255) / 255.f, alpha};
}

// The few colours everything is mixed from.
struct Palette {
  unsigned back, panel, field, raised, line, text, faint, accent, on_accent;
};
constexpr Palette kDark = {0x14161b, 0x1b1e25, 0x262a33, 0x323844, 0x2b303a, 0xe4e7ec, 0x8b93a1, 0x2f9e8f, 0xffffff};
constexpr Palette kLight = {0xe9ebef, 0xf7f8fa, 0xffffff, 0xdde2ea, 0xd2d7df, 0x1d2129, 0x667080, 0x13806f, 0xffffff};

}  // namespace

bool load_fonts(float pixels) {
  ImGuiIO& io = ImGui::GetIO();
  io.Fonts->Clear();
  io.Fonts->FontBuilderIO = ImGuiFreeType::GetBuilderForFreeType();
  // Latin, Greek, Cyrillic, punctuation, arrows, mathematical signs, geometric shapes.
  static const ImWchar kGlyphs[] = {0x20, 0x17f, 0x370, 0x52f, 0x2000, 0x206f, 0x2190, 0x22ff, 0x25a0, 0x25ff, 0x2680, 0x2685, 0};
  const char* named = std::getenv("ZOETROPE_FONT");
  std::vector<std::string> files = {"/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf",
                                    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", "/usr/share/fonts/TTF/DejaVuSans.ttf",
                                    "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",
                                    "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf"};
  if (named && *named) files = {named};
  for (const std::string& file : files) {
    if (access(file.c_str(), R_OK) == 0 && io.Fonts->AddFontFromFileTTF(file.c_str(), pixels, nullptr, kGlyphs)) return true;
  }
  ImFontConfig config;
  config.SizePixels = pixels;
  io.Fonts->AddFontDefault(&config);
  return false;
}

void set_style(bool light, float scale) {
  ImGuiStyle style;
  const Palette& p = light ? kLight : kDark;
  style.WindowPadding = {14, 12}, style.FramePadding = {9, 5}, style.ItemSpacing = {8, 7}, style.ItemInnerSpacing = {6, 4};
  style.WindowRounding = 0, style.FrameRounding = 5, style.GrabRounding = 5, style.PopupRounding = 6, style.ChildRounding = 6;
  style.ScrollbarRounding = 6, style.TabRounding = 5;
  style.WindowBorderSize = 0, style.FrameBorderSize = light ? 1.f : 0.f, style.PopupBorderSize = 1, style.ChildBorderSize = 0;
  style.ScrollbarSize = 11, style.GrabMinSize = 11;
  ImVec4* c = style.Colors;
  for (int i = 0; i < ImGuiCol_COUNT; ++i) c[i] = colour(p.text);
  c[ImGuiCol_TextDisabled] = colour(p.faint);
  c[ImGuiCol_WindowBg] = colour(p.panel), c[ImGuiCol_ChildBg] = colour(p.panel, 0), c[ImGuiCol_PopupBg] = colour(p.panel);
  c[ImGuiCol_Border] = colour(p.line), c[ImGuiCol_BorderShadow] = colour(0, 0);
  c[ImGuiCol_FrameBg] = colour(p.field), c[ImGuiCol_FrameBgHovered] = colour(p.raised),
  c[ImGuiCol_FrameBgActive] = colour(p.raised);
  c[ImGuiCol_TitleBg] = c[ImGuiCol_TitleBgActive] = c[ImGuiCol_TitleBgCollapsed] = colour(p.back);
  c[ImGuiCol_MenuBarBg] = colour(p.back);
  c[ImGuiCol_ScrollbarBg] = colour(p.panel, 0), c[ImGuiCol_ScrollbarGrab] = colour(p.raised);
  c[ImGuiCol_ScrollbarGrabHovered] = c[ImGuiCol_ScrollbarGrabActive] = colour(p.faint);
  c[ImGuiCol_CheckMark] = c[ImGuiCol_SliderGrab] = c[ImGuiCol_SliderGrabActive] = colour(p.accent);
  c[ImGuiCol_Button] = colour(p.field), c[ImGuiCol_ButtonHovered] = colour(p.raised),
  c[ImGuiCol_ButtonActive] = colour(p.accent, 0.7f);
  c[ImGuiCol_Header] = colour(p.accent, 0.35f), c[ImGuiCol_HeaderHovered] = colour(p.raised),
  c[ImGuiCol_HeaderActive] = colour(p.accent, 0.5f);
  c[ImGuiCol_Separator] = colour(p.line), c[ImGuiCol_SeparatorHovered] = c[ImGuiCol_SeparatorActive] = colour(p.accent);
  c[ImGuiCol_ResizeGrip] = c[ImGuiCol_ResizeGripHovered] = c[ImGuiCol_ResizeGripActive] = colour(p.raised);
  c[ImGuiCol_Tab] = colour(p.field), c[ImGuiCol_TabHovered] = colour(p.raised), c[ImGuiCol_TabActive] = colour(p.accent, 0.6f);
  c[ImGuiCol_PlotHistogram] = c[ImGuiCol_PlotHistogramHovered] = c[ImGuiCol_PlotLines] = c[ImGuiCol_PlotLinesHovered] =
      colour(p.accent);
  c[ImGuiCol_TableHeaderBg] = colour(p.field), c[ImGuiCol_TableBorderStrong] = c[ImGuiCol_TableBorderLight] = colour(p.line);
  c[ImGuiCol_TableRowBg] = colour(0, 0), c[ImGuiCol_TableRowBgAlt] = colour(p.field, 0.4f);
  c[ImGuiCol_TextSelectedBg] = colour(p.accent, 0.45f), c[ImGuiCol_DragDropTarget] = colour(p.accent);
  c[ImGuiCol_NavHighlight] = colour(p.accent), c[ImGuiCol_NavWindowingHighlight] = colour(p.accent);
  c[ImGuiCol_NavWindowingDimBg] = c[ImGuiCol_ModalWindowDimBg] = colour(0, 0.5f);
  style.ScaleAllSizes(scale);
  style.FrameBorderSize = light ? 1.f : 0.f, style.PopupBorderSize = 1, style.WindowMinSize = {1, 1};
  ImGui::GetStyle() = style;
}

void map_keys() {
  ImGuiIO& io = ImGui::GetIO();
  struct Pair {
    ImGuiKey key;
    int code;
  };
  const Pair kPairs[] = {{ImGuiKey_Tab, GLFW_KEY_TAB},
                         {ImGuiKey_LeftArrow, GLFW_KEY_LEFT},
                         {ImGuiKey_RightArrow, GLFW_KEY_RIGHT},
                         {ImGuiKey_UpArrow, GLFW_KEY_UP},
                         {ImGuiKey_DownArrow, GLFW_KEY_DOWN},
                         {ImGuiKey_PageUp, GLFW_KEY_PAGE_UP},
                         {ImGuiKey_PageDown, GLFW_KEY_PAGE_DOWN},
                         {ImGuiKey_Home, GLFW_KEY_HOME},
                         {ImGuiKey_End, GLFW_KEY_END},
                         {ImGuiKey_Insert, GLFW_KEY_INSERT},
                         {ImGuiKey_Delete, GLFW_KEY_DELETE},
                         {ImGuiKey_Backspace, GLFW_KEY_BACKSPACE},
                         {ImGuiKey_Space, GLFW_KEY_SPACE},
                         {ImGuiKey_Enter, GLFW_KEY_ENTER},
                         {ImGuiKey_Escape, GLFW_KEY_ESCAPE},
                         {ImGuiKey_KeyPadEnter, GLFW_KEY_KP_ENTER},
                         {ImGuiKey_A, GLFW_KEY_A},
                         {ImGuiKey_C, GLFW_KEY_C},
                         {ImGuiKey_V, GLFW_KEY_V},
                         {ImGuiKey_X, GLFW_KEY_X},
                         {ImGuiKey_Y, GLFW_KEY_Y},
                         {ImGuiKey_Z, GLFW_KEY_Z}};
  for (const Pair& p : kPairs) io.KeyMap[p.key] = p.code;
}

}  // namespace zt::ui
