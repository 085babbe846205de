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

struct Tool {
  const char *name, *label;
};
constexpr Tool kTools[] = {
    {"live", "Live"}, {"compare", "Compare"}, {"swap", "Swap"}, {"save-frame", "Save frame"}, {"restore", "Restore settings"}};

float tool_width(const Tool& t) { return ImGui::CalcTextSize(t.label).x + 2 * ImGui::GetStyle().FramePadding.x; }

// Rows the tools take in that width.
int tool_rows(float room) {
  int rows = 1;
  float used = 0;
  for (const Tool& t : kTools) {
    float width = tool_width(t);
    if (used > 0 && used + width > room) ++rows, used = 0;
    used += width + ImGui::GetStyle().ItemSpacing.x;
  }
  return rows;
}

void tools(const Context& c) {
  const Viewer& v = c.state.viewer;
  float room = ImGui::GetContentRegionAvail().x, used = 0;
  for (const Tool& t : kTools) {
    std::string_view name = t.name;
    bool on = (name == "live" && v.show_live) || (name == "compare" && v.comparing);
    bool off = (name == "swap" && !v.b) || (name == "restore" && v.a_path.empty());
    float width = tool_width(t);
    if (used > 0 && used + width > room) {
      used = 0;
    } else if (used > 0) {
      ImGui::SameLine();
    }
    used += width + ImGui::GetStyle().ItemSpacing.x;
    ImGui::BeginDisabled(off);
    if (named_button(name, t.label, on)) c.press(name);
    ImGui::EndDisabled();
  }
  if (!v.a || room - used < em(7)) return;
  std::string about =
      file_name(v.a_path) + "  " + std::to_string(v.a->width * v.a->reduced) + "x" + std::to_string(v.a->height * v.a->reduced);
  ImGui::SameLine(0, em(1));
  ImGui::TextDisabled("%s", shortened(about, room - used - em(1)).c_str());
}

}  // namespace

void viewer_panel(const Context& c) {
  const ImGuiStyle& style = ImGui::GetStyle();
  ImVec2 room = ImGui::GetContentRegionAvail();
  float controls = float(1 + tool_rows(room.x)) * ImGui::GetFrameHeightWithSpacing() + style.ItemSpacing.y;
  stage(c, {room.x, std::max(room.y - controls, em(3))});
  scrub(c);
  tools(c);
}

}  // namespace zt::ui
