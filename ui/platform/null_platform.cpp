#include "ui/platform/null_platform.h"

#include <imgui.h>

#include "ui/platform/look.h"

namespace zt::ui {

NullPlatform::NullPlatform(int width, int height) : width_(width), height_(height) {
  ImGui::CreateContext();
  ImGuiIO& io = ImGui::GetIO();
  io.IniFilename = nullptr;
  io.ConfigFlags |= ImGuiConfigFlags_NavEnableKeyboard;
  map_keys();
  set_look(false, 1);
}

NullPlatform::~NullPlatform() { ImGui::DestroyContext(); }

void NullPlatform::set_look(bool light, double scale) {
  set_style(light, float(scale));
  load_fonts(kTextPixels * float(scale));
  ImFontAtlas& fonts = *ImGui::GetIO().Fonts;
  unsigned char* pixels = nullptr;
  int w = 0, h = 0;
  fonts.GetTexDataAsRGBA32(&pixels, &w, &h);
  fonts.SetTexID(this);
}

void* NullPlatform::show(const std::string& place, const Clip& clip, int64_t frame, bool) {
  shown_[place] = frame;
  return const_cast<ClipFrames*>(clip.get());
}

void NullPlatform::wait(double seconds) { time_ += seconds > 0 ? seconds : 0; }

void NullPlatform::begin_frame() {
  constexpr float kFrame = 1 / 60.f;
  time_ += double(kFrame);
  ImGuiIO& io = ImGui::GetIO();
  io.DisplaySize = {float(width_), float(height_)};
  io.DeltaTime = kFrame;
  ImGui::NewFrame();
}

void NullPlatform::end_frame() {
  ImGui::Render();
  triangles_ = ImGui::GetDrawData()->TotalIdxCount / 3;
}

Clip NullPlatform::capture() {
  auto clip = std::make_shared<ClipFrames>();
  clip->width = width_, clip->height = height_, clip->frames = 1;
  clip->rgb.resize(size_t(width_) * size_t(height_) * 3);
  return clip;
}

void NullPlatform::mouse(float x, float y, bool down) {
  ImGuiIO& io = ImGui::GetIO();
  io.MousePos = {x, y};
  io.MouseDown[0] = down;
}

void NullPlatform::key(int key, bool down, bool ctrl, bool shift) {
  ImGuiIO& io = ImGui::GetIO();
  io.KeysDown[key] = down;
  io.KeyCtrl = ctrl, io.KeyShift = shift;
  io.KeyMods = (ctrl ? ImGuiKeyModFlags_Ctrl : 0) | (shift ? ImGuiKeyModFlags_Shift : 0);
}

void NullPlatform::type(const std::string& text) { ImGui::GetIO().AddInputCharactersUTF8(text.c_str()); }

}  // namespace zt::ui
