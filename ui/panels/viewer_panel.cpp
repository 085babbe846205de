#include <algorithm>
#include <string>

#include "ui/panels/panels.h"
#include "ui/widgets/picture.h"

namespace zt::ui {
namespace {

int64_t frame_at(const Clip& clip, double position) {
  if (!clip || clip->frames < 1) return 0;
  return std::clamp<int64_t>(int64_t(position * clip->fps + 1e-6), 0, clip->frames - 1);
}

void empty_stage(const Context& c, ImVec2 at, ImVec2 box) {
  std::string line = c.state.queue.running ? "The first picture comes with the first step."
                                           : "Your clip appears here. Press Render, or Ctrl+Enter.";
  ImVec2 size = ImGui::CalcTextSize(line.c_str(), nullptr, false, box.x);
  ImGui::GetWindowDrawList()->AddText(nullptr, 0, {at.x + (box.x - size.x) / 2, at.y + (box.y - size.y) / 2},
                                      ImGui::GetColorU32(ImGuiCol_TextDisabled), line.c_str(), nullptr, box.x);
}

void stage(const Context& c, ImVec2 box) {
  const Viewer& v = c.state.viewer;
  ImVec2 at = ImGui::GetCursorScreenPos();
  ImGui::InvisibleButton("##stage", {std::max(box.x, 1.f), std::max(box.y, 1.f)});
  bool live = v.show_live && v.live;
  const Clip& a = live ? v.live : v.a;
  if (!a) return empty_stage(c, at, box);
  bool wiping = v.comparing && v.b && !live;
  // One length of side for both, so that two sizes of the same picture lie on each other.
  Placed place = fit(at, box, a->width, a->height);
  wipe_picture(c.textures, a, shown_frame(v), wiping ? v.b : nullptr, frame_at(v.b, v.position), v.wipe, place);
  float inset = em(0.5f);
  if (live) label_at({place.min.x + inset, place.min.y + inset}, ("preview of step " + std::to_string(v.live_step)).c_str());
  if (!wiping) return;
  std::string left = "A  " + shortened(file_name(v.a_path), place.width() * 0.35f);
  std::string right = "B  " + shortened(file_name(v.b_path), place.width() * 0.35f);
  label_at({place.min.x + inset, place.min.y + inset}, left.c_str());
  label_at({place.max.x - inset - ImGui::CalcTextSize(right.c_str()).x - em(0.7f), place.min.y + inset}, right.c_str());
  if (ImGui::IsItemActive() && place.width() > 0) c.act(SetWipe{(ImGui::GetIO().MousePos.x - place.min.x) / place.width()});
  if (ImGui::IsItemHovered()) ImGui::SetMouseCursor(ImGuiMouseCursor_ResizeEW);
}

void scrub(const Context& c) {
  const Viewer& v = c.state.viewer;
  const Clip& clip = v.show_live && v.live ? v.live : v.a;
  int frames = clip ? int(clip->frames) : 0, frame = int(shown_frame(v));
  ImGui::BeginDisabled(frames < 2);
  if (named_button("play", v.playing && frames > 1 ? "Pause" : "Play")) c.press("play");
  ImGui::SameLine();
  ImGui::SetNextItemWidth(-1);
  if (frames < 2) {
    progress(0, {-1, 0}, frames ? "one frame" : "no clip");
  } else {
    std::string format = "frame %d of " + std::to_string(frames - 1) + ",  " + clock_text(double(frame) / clip->fps);
    if (ImGui::SliderInt("##scrub", &frame, 0, frames - 1, format.c_str(),
                         ImGuiSliderFlags_NoInput | ImGuiSliderFlags_AlwaysClamp))
      c.act(Seek{double(frame) / clip->fps});
  }
  ImGui::EndDisabled();
}

void tools(const Context& c) {
  const Viewer& v = c.state.viewer;
  float right = ImGui::GetContentRegionMax().x;
  // Wraps to a second line where there is no room for the next button.
  auto next = [&](const char* label) {
    float width = ImGui::CalcTextSize(label).x + 2 * ImGui::GetStyle().FramePadding.x;
    ImGui::SameLine();
    if (ImGui::GetCursorPosX() + width > right) ImGui::NewLine();
  };
  if (named_button("live", "Live", v.show_live)) c.press("live");
  next("Compare");
  if (named_button("compare", "Compare", v.comparing)) c.press("compare");
  next("Swap");
  ImGui::BeginDisabled(!v.b);
  if (named_button("swap")) c.press("swap");
  ImGui::EndDisabled();
  next("Save frame");
  if (named_button("save-frame")) c.press("save-frame");
  next("Restore settings");
  ImGui::BeginDisabled(v.a_path.empty());
  if (named_button("restore")) c.press("restore");
  ImGui::EndDisabled();
  if (!v.a) return;
  std::string about =
      file_name(v.a_path) + "  " + std::to_string(v.a->width * v.a->reduced) + "x" + std::to_string(v.a->height * v.a->reduced);
  ImGui::SameLine(0, em(1));
  float room = right - ImGui::GetCursorPosX();
  if (room > em(6)) ImGui::TextDisabled("%s", shortened(about, room).c_str());
}

}  // namespace

void viewer_panel(const Context& c) {
  const ImGuiStyle& style = ImGui::GetStyle();
  ImVec2 room = ImGui::GetContentRegionAvail();
  float controls = 2 * ImGui::GetFrameHeightWithSpacing() + style.ItemSpacing.y;
  stage(c, {room.x, std::max(room.y - controls, em(3))});
  scrub(c);
  tools(c);
}

}  // namespace zt::ui
