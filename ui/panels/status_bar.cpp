#include <algorithm>
#include <cmath>
#include <cstdio>

#include "ui/panels/panels.h"

namespace zt::ui {
namespace {

std::string phase_text(const RunningJob& job) {
  const Progress& p = job.progress;
  std::string text(state_name(p.state));
  if (p.steps > 0) text += " " + std::to_string(p.step) + "/" + std::to_string(p.steps);
  if (p.eta_s >= 0 && p.step < p.steps) text += ", " + clock_text(p.eta_s) + " left";
  return text;
}

// Weights, activations and decode peak before a run, what is held during it; the whole bar is what the machine has.
void memory_bar(const Context& c, float width) {
  const auto& e = c.state.estimate;
  if (!e || e->available_mb <= 0 || width < em(5)) return;
  const auto& running = c.state.queue.running;
  bool runs = running && running->progress.mem_mb > 0;
  ImVec2 at = ImGui::GetCursorScreenPos(), size = {width, ImGui::GetFrameHeight() - em(0.2f)};
  ImGui::Dummy({width, ImGui::GetFrameHeight()});
  ImDrawList* draw = ImGui::GetWindowDrawList();
  draw->AddRectFilled(at, {at.x + size.x, at.y + size.y}, ImGui::GetColorU32(ImGuiCol_FrameBg), em(0.3f));
  // The range from nothing to everything spans decades, so the bar is a square root.
  auto place = [&](int64_t mb) { return size.x * float(std::sqrt(std::clamp(double(mb) / double(e->available_mb), 0., 1.))); };
  auto part = [&](int64_t from, int64_t to, ImU32 colour) {
    draw->AddRectFilled({at.x + place(from), at.y}, {at.x + place(to), at.y + size.y}, colour, em(0.3f));
  };
  ImVec4 accent = ImGui::GetStyleColorVec4(ImGuiCol_CheckMark);
  auto shade = [&](float alpha) { return ImGui::GetColorU32({accent.x, accent.y, accent.z, alpha}); };
  bool full = e->peak_mb > e->available_mb;
  part(0, e->peak_mb, full ? ImGui::GetColorU32(error_colour()) : shade(0.25f));
  if (runs) {
    part(0, running->progress.mem_mb, shade(0.75f));
  } else {
    part(0, e->weights_mb, shade(0.75f));
    part(e->weights_mb, e->weights_mb + e->activations_mb, shade(0.5f));
  }
  std::string text = runs ? size_text(running->progress.mem_mb) + " in use" : size_text(e->peak_mb) + " needed";
  ImVec2 text_size = ImGui::CalcTextSize(text.c_str());
  draw->AddText({at.x + (size.x - text_size.x) / 2, at.y + (size.y - text_size.y) / 2}, ImGui::GetColorU32(ImGuiCol_Text),
                text.c_str());
  tip("memory of the job: weights " + size_text(e->weights_mb) + ", activations " + size_text(e->activations_mb) + ", decoding " +
      size_text(e->decode_mb) + (e->tiled_decode ? " in tiles" : "") + "; this machine has " + size_text(e->available_mb));
}

}  // namespace

std::string clock_text(double seconds) {
  char text[48];
  auto s = static_cast<long long>(seconds + 0.5);
  if (s >= 3600) {
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
  } else if (s >= 60) {
    std::snprintf(text, sizeof text, "%lld:%02lld", s / 60, s % 60);
  } else {
    std::snprintf(text, sizeof text, "%.1f s", seconds);
  }
  return text;
}

std::string size_text(int64_t megabytes) {
  char text[48];
  if (megabytes < 1024) {
    std::snprintf(text, sizeof text, "%lld MB", static_cast<long long>(megabytes));
  } else {
    std::snprintf(text, sizeof text, "%.1f GB", double(megabytes) / 1024);
  }
  return text;
}

std::string density_text(double density) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f%%", density * 100);
  return text;
}

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string window_title(const AppState& state) {
  std::string title = "Zoetrope";
  if (!state.queue.running) return title;
  title += ": " + phase_text(*state.queue.running);
  size_t waiting = state.queue.pending.size();
  return waiting ? title + ", " + std::to_string(waiting) + " waiting" : title;
}

void status_bar(const Context& c) {
  const auto& running = c.state.queue.running;
  ImGui::AlignTextToFramePadding();
  float width = ImGui::GetContentRegionAvail().x, memory = std::min(width * 0.25f, em(14));
  std::string state = running ? phase_text(*running) : "ready";
  ImGui::TextUnformatted(shortened(state, width * 0.3f).c_str());
  if (running && running->progress.steps > 0 && width > em(50)) {
    ImGui::SameLine();
    ImGui::SetCursorPosY(ImGui::GetCursorPosY() + em(0.1f));
    ImGui::ProgressBar(float(running->progress.step) / float(running->progress.steps),
                       {em(10), ImGui::GetFrameHeight() - em(0.2f)}, "");
  }
  ImGui::SameLine(0, em(1.5f));
  const Notice& n = c.state.notice;
  float keys = ImGui::CalcTextSize("Keys").x + 2 * ImGui::GetStyle().FramePadding.x + em(0.5f);
  float room = ImGui::GetContentRegionMax().x - memory - keys - ImGui::GetCursorPosX() - em(1.5f);
  if (!n.text.empty() && room > em(3)) {
    ImVec4 colour = n.kind == Notice::Kind::error     ? error_colour()
                    : n.kind == Notice::Kind::warning ? warning_colour()
                                                      : ImGui::GetStyleColorVec4(ImGuiCol_TextDisabled);
    ImGui::TextColored(colour, "%s", shortened(n.text, room).c_str());
    tip(n.text + (n.kind == Notice::Kind::error ? "\n(Esc clears it)" : ""));
    ImGui::SameLine();
  }
  ImGui::SetCursorPosX(std::max(ImGui::GetContentRegionMax().x - memory - keys, ImGui::GetCursorPosX()));
  if (named_button("keys")) c.press("keys");
  ImGui::SameLine(0, em(0.5f));
  memory_bar(c, memory);
}

}  // namespace zt::ui
