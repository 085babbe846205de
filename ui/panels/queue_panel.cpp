#include <algorithm>

#include "ui/panels/panels.h"
#include "ui/widgets/picture.h"

namespace zt::ui {
namespace {

std::string short_settings(const JobSpec& s) {
  std::string text = std::to_string(s.size.width) + "x" + std::to_string(s.size.height) + ", " + std::to_string(s.frames) +
                     " frames, " + std::to_string(s.steps) + " steps, seed " + std::to_string(s.seed);
  return text + ", " + (s.attn.starts_with('@') ? "plan file" : s.attn);
}

void row_text(const JobSpec& s) {
  float width = ImGui::GetContentRegionAvail().x;
  ImGui::TextUnformatted(shortened(s.prompt, width).c_str());
  tip(s.prompt.substr(0, 2000));
  ImGui::TextDisabled("%s", shortened(short_settings(s), width).c_str());
  tip(short_settings(s));
}

float share_of(const Progress& p) { return p.steps > 0 ? float(p.step) / float(p.steps) : 0; }

void running_row(const Context& c, const RunningJob& job) {
  row_text(job.spec);
  std::string phase = job.cancelling ? "stopping" : std::string(state_name(job.progress.state));
  if (job.progress.steps > 0 && !job.cancelling)
    phase += " " + std::to_string(job.progress.step) + "/" + std::to_string(job.progress.steps);
  float cancel = ImGui::CalcTextSize("Cancel").x + 2 * ImGui::GetStyle().FramePadding.x;
  progress(share_of(job.progress), {ImGui::GetContentRegionAvail().x - cancel - ImGui::GetStyle().ItemSpacing.x, 0}, phase);
  ImGui::SameLine();
  if (named_button("cancel")) c.press("cancel");
}

void pending_row(const Context& c, const PendingJob& job, bool first, bool last) {
  ImGui::PushID(int(job.id));
  row_text(job.spec);
  if (job.elsewhere) ImGui::TextDisabled("another program renders it");
  ImGui::BeginDisabled(first);
  if (ImGui::ArrowButton("##up", ImGuiDir_Up)) c.act(Move{job.id, -1});
  tip("sooner");
  ImGui::EndDisabled();
  ImGui::SameLine(0, em(0.25f));
  ImGui::BeginDisabled(last);
  if (ImGui::ArrowButton("##down", ImGuiDir_Down)) c.act(Move{job.id, 1});
  tip("later");
  ImGui::EndDisabled();
  ImGui::SameLine(0, em(0.25f));
  if (toggle_button("Edit", c.state.form.editing == job.id)) c.act(Edit{job.id});
  tip("into the form; Render then changes this job");
  ImGui::SameLine(0, em(0.25f));
  if (ImGui::Button("Copy")) c.act(Duplicate{job.id});
  tip("one more like it");
  ImGui::SameLine(0, em(0.25f));
  if (ImGui::Button("Remove")) c.act(Cancel{job.id});
  ImGui::PopID();
  ImGui::Dummy({0, em(0.1f)});
}

void failures(const Context& c) {
  const auto& all = c.state.queue.finished;
  if (all.empty() || all.back().result.code == ExitCode::done || all.back().result.code == ExitCode::interrupted) return;
  wrapped(error_colour(), all.back().result.error);
}

void clip_menu(const Context& c, const ClipEntry& clip) {
  if (ImGui::MenuItem("Show")) c.act(OpenClip{clip.path, false});
  if (ImGui::MenuItem("Compare with the shown one")) c.act(OpenClip{clip.path, true});
  if (ImGui::MenuItem("Restore its settings")) c.act(RestoreSpec{clip.spec, false});
  if (ImGui::MenuItem("Use its seed")) c.act(RestoreSpec{clip.spec, true});
}

void clip_tile(const Context& c, const ClipEntry& clip, ImVec2 size) {
  ImVec2 at = ImGui::GetCursorScreenPos();
  bool selected = clip.path == c.state.gallery.selected;
  if (ImGui::Selectable("##tile", selected, 0, size)) c.act(OpenClip{clip.path, false});
  if (ImGui::BeginPopupContextItem("menu")) {
    clip_menu(c, clip);
    ImGui::EndPopup();
  }
  tip(file_name(clip.path) + "\n" + clip.spec.prompt.substr(0, 1000) + "\n" + short_settings(clip.spec) +
      "\nclick: show, right click: more");
  float line = ImGui::GetTextLineHeight(), pad = em(0.25f);
  ImDrawList* draw = ImGui::GetWindowDrawList();
  ImVec2 box = {size.x - 2 * pad, size.y - line - 3 * pad};
  if (clip.thumbnail && box.x > 0 && box.y > 0) {
    Placed p = fit({at.x + pad, at.y + pad}, box, clip.thumbnail->width, clip.thumbnail->height);
    draw->AddImageRounded(c.textures.show(clip.path, clip.thumbnail, 0, true), p.min, p.max, {0, 0}, {1, 1}, IM_COL32_WHITE,
                          em(0.25f));
  }
  draw->AddText({at.x + pad, at.y + size.y - line - pad}, ImGui::GetColorU32(selected ? ImGuiCol_Text : ImGuiCol_TextDisabled),
                shortened(clip.spec.prompt, size.x - 2 * pad).c_str());
}

}  // namespace

void gallery_panel(const Context& c) {
  const Gallery& g = c.state.gallery;
  heading("Gallery");
  auto chosen = std::find_if(g.clips.begin(), g.clips.end(), [&](const ClipEntry& e) { return e.path == g.selected; });
  ImGui::BeginDisabled(chosen == g.clips.end());
  if (ImGui::Button("Compare##gallery")) c.act(OpenClip{chosen->path, true});
  tip("wipe between the shown clip and this one");
  ImGui::SameLine(0, em(0.25f));
  if (ImGui::Button("Settings")) c.act(RestoreSpec{chosen->spec, false});
  tip("its settings into the form");
  ImGui::SameLine(0, em(0.25f));
  if (ImGui::Button("Seed")) c.act(RestoreSpec{chosen->spec, true});
  tip("its seed into the form");
  ImGui::EndDisabled();
  if (g.clips.empty()) return ImGui::TextDisabled("Finished clips gather here.");
  ImGui::BeginChild("##clips", {0, 0}, false, ImGuiWindowFlags_NavFlattened);
  float room = ImGui::GetContentRegionAvail().x, gap = em(0.4f);
  int columns = std::max(1, int(room / em(8)));
  float width = (room - gap * float(columns - 1)) / float(columns);
  ImVec2 size = {width, width * 0.8f + ImGui::GetTextLineHeight()};
  // Only rows in sight are drawn: a folder may hold hundreds of clips.
  ImGuiListClipper rows;
  rows.Begin(int((g.clips.size() + size_t(columns) - 1) / size_t(columns)), size.y + ImGui::GetStyle().ItemSpacing.y);
  while (rows.Step()) {
    for (size_t i = size_t(rows.DisplayStart * columns); i < std::min(size_t(rows.DisplayEnd * columns), g.clips.size()); ++i) {
      if (i % size_t(columns)) ImGui::SameLine(0, gap);
      ImGui::PushID(int(i));
      clip_tile(c, g.clips[i], size);
      ImGui::PopID();
    }
  }
  ImGui::EndChild();
}

void queue_panel(const Context& c) {
  const Queue& q = c.state.queue;
  ImGui::TextUnformatted("Queue");
  ImGui::SameLine();
  std::string count = q.running || !q.pending.empty() ? std::to_string(q.pending.size()) + " waiting" : "empty";
  ImGui::TextDisabled("%s", count.c_str());
  ImGui::Separator();
  if (q.running) running_row(c, *q.running);
  failures(c);
  if (!q.pending.empty()) {
    float rows =
        float(q.pending.size()) * (2 * ImGui::GetTextLineHeightWithSpacing() + ImGui::GetFrameHeightWithSpacing() + em(0.5f));
    ImGui::BeginChild("##pending", {0, std::min(rows, ImGui::GetContentRegionAvail().y * 0.45f)}, false,
                      ImGuiWindowFlags_NavFlattened);
    for (size_t i = 0; i < q.pending.size(); ++i) pending_row(c, q.pending[i], i == 0, i + 1 == q.pending.size());
    ImGui::EndChild();
  }
  gallery_panel(c);
}

}  // namespace zt::ui
