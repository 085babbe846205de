#include <algorithm>
#include <cmath>
#include <cstdio>

#include "app/session/job_fields.h"
#include "ui/panels/panels.h"

namespace zt::ui {
namespace {

std::string plain_number(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", v);
  return text;
}

const char* help_of(const char* field) {
  const Field* f = find_field(field);
  return f ? f->help.data() : "";
}

// A row for a field of the job whose value stands as text.
void field_row(const Context& c, const char* label, const char* field, const std::string& now) {
  row_label(label, help_of(field));
  std::string text;
  if (text_box(("##" + std::string(field)).c_str(), now, -1, c.memo.drafts, text)) c.act(SetField{field, text});
}

void choice_row(const Context& c, const char* label, const char* field, const std::string& now) {
  const Field* f = find_field(field);
  row_label(label, help_of(field));
  if (!ImGui::BeginCombo(("##" + std::string(field)).c_str(), now.c_str())) return;
  for (const std::string& choice : f->choices) {
    if (ImGui::Selectable(choice.c_str(), choice == now)) c.act(SetField{field, choice});
  }
  ImGui::EndCombo();
}

void examples(const Context& c) {
  const auto& embedded = c.state.embedded;
  if (c.state.examples.empty() || std::find(embedded.begin(), embedded.end(), c.state.form.spec.model) == embedded.end()) return;
  ImGui::SameLine(0, em(0.5f));
  if (ImGui::ArrowButton("##examples", ImGuiDir_Down)) ImGui::OpenPopup("examples");
  tip("prompts that the embedded model draws well");
  if (!ImGui::BeginPopup("examples")) return;
  for (const std::string& prompt : c.state.examples) {
    if (ImGui::Selectable(prompt.c_str(), prompt == c.state.form.spec.prompt)) c.act(SetField{"prompt", prompt});
  }
  ImGui::EndPopup();
}

void prompts(const Context& c) {
  const JobSpec& s = c.state.form.spec;
  std::string text;
  ImGui::TextUnformatted("Prompt");
  examples(c);
  if (c.state.focus_changed && c.state.focus == Panel::create) ImGui::SetKeyboardFocusHere();
  if (prompt_box("##prompt", s.prompt, {-1, em(5.6f)}, text)) c.act(SetField{"prompt", text});
  ImGui::TextDisabled("Leave out");
  tip(help_of("negative_prompt"));
  if (prompt_box("##negative", s.negative_prompt, {-1, em(2.5f)}, text)) c.act(SetField{"negative_prompt", text});
}

void model_row(const Context& c) {
  const JobSpec& s = c.state.form.spec;
  row_label("Model", "a model folder, or the name of one that came with the program; a folder can also be dropped on the window");
  float recent = ImGui::GetFrameHeight();
  std::string text;
  if (text_box("##model", s.model, ImGui::GetContentRegionAvail().x - recent - em(0.3f), c.memo.drafts, text))
    c.act(SetField{"model", text});
  tip(s.model);
  ImGui::SameLine(0, em(0.3f));
  if (ImGui::ArrowButton("##recent", ImGuiDir_Down)) ImGui::OpenPopup("recent models");
  tip("models that came with the program, and recent ones");
  if (!ImGui::BeginPopup("recent models")) return;
  const auto& embedded = c.state.embedded;
  for (const std::string& m : embedded) {
    if (ImGui::Selectable((m + " (embedded)").c_str(), m == s.model)) c.act(SetField{"model", m});
  }
  for (const std::string& m : c.state.recent_models) {
    bool listed = std::find(embedded.begin(), embedded.end(), m) != embedded.end();
    if (!listed && ImGui::Selectable(m.c_str(), m == s.model)) c.act(SetField{"model", m});
  }
  ImGui::EndPopup();
}

void size_rows(const Context& c) {
  const JobSpec& s = c.state.form.spec;
  struct Aspect {
    const char* name;
    int64_t across, up;
  };
  constexpr Aspect kAspects[] = {{"16:9", 16, 9}, {"4:3", 4, 3}, {"1:1", 1, 1}, {"3:4", 3, 4}, {"9:16", 9, 16}};
  row_label("Aspect", "keeps about the same number of pixels");
  float gap = em(0.25f), width = (ImGui::GetContentRegionAvail().x - 4 * gap) / 5;
  ImVec2 padding = ImGui::GetStyle().FramePadding;
  ImGui::PushStyleVar(ImGuiStyleVar_FramePadding, {1, padding.y});
  for (const Aspect& a : kAspects) {
    if (a.name != kAspects[0].name) ImGui::SameLine(0, gap);
    if (ImGui::Button(a.name, {width, 0})) c.act(SetAspect{a.across, a.up});
  }
  ImGui::PopStyleVar();
  row_label("Size", "width and height in pixels; sides are snapped to multiples of 16");
  std::string text;
  float half = (ImGui::GetContentRegionAvail().x - em(1.4f)) / 2;
  if (text_box("##width", std::to_string(s.size.width), half, c.memo.drafts, text))
    c.act(SetField{"size", text + "x" + std::to_string(s.size.height)});
  ImGui::SameLine(0, em(0.4f));
  ImGui::TextDisabled("x");
  ImGui::SameLine(0, em(0.4f));
  if (text_box("##height", std::to_string(s.size.height), half, c.memo.drafts, text))
    c.act(SetField{"size", std::to_string(s.size.width) + "x" + text});
  row_label("Length", "frames are snapped to 4n + 1; seconds follow, and the other way round");
  float seconds = em(4.2f);
  if (text_box("##frames", std::to_string(s.frames), half - em(1.6f), c.memo.drafts, text)) c.act(SetField{"frames", text});
  ImGui::SameLine(0, em(0.4f));
  ImGui::TextDisabled("frames");
  ImGui::SameLine(0, em(0.4f));
  if (text_box("##seconds", plain_number(std::round(double(s.frames) / s.fps * 100) / 100),
               std::min(seconds, ImGui::GetContentRegionAvail().x - em(1)), c.memo.drafts, text))
    c.act(SetField{"seconds", text});
  ImGui::SameLine(0, em(0.4f));
  ImGui::TextDisabled("s");
}

void sampling_rows(const Context& c) {
  const JobSpec& s = c.state.form.spec;
  row_label("Steps", help_of("steps"));
  int steps = int(s.steps);
  constexpr int kUsualSteps = 60;
  if (ImGui::SliderInt("##steps", &steps, 1, std::max(kUsualSteps, steps), "%d", ImGuiSliderFlags_AlwaysClamp))
    c.act(SetField{"steps", std::to_string(steps)});
  row_label("Guidance", help_of("cfg_scale"));
  float guidance = float(s.cfg_scale);
  constexpr float kUsualGuidance = 12;
  if (ImGui::SliderFloat("##cfg_scale", &guidance, 1, std::max(kUsualGuidance, guidance), "%.1f", ImGuiSliderFlags_AlwaysClamp))
    c.act(SetField{"cfg_scale", plain_number(double(guidance))});
  row_label("Seed", "same seed and settings, same clip");
  std::string text;
  float buttons =
      ImGui::CalcTextSize("Dice").x + ImGui::CalcTextSize("Locked").x + 4 * ImGui::GetStyle().FramePadding.x + em(0.6f);
  if (text_box("##seed", std::to_string(s.seed), ImGui::GetContentRegionAvail().x - buttons, c.memo.drafts, text))
    c.act(SetField{"seed", text});
  ImGui::SameLine(0, em(0.3f));
  if (named_button("dice")) c.press("dice");
  ImGui::SameLine(0, em(0.3f));
  if (named_button("lock", c.state.form.seed_locked ? "Locked" : "Free", c.state.form.seed_locked)) c.press("lock");
  choice_row(c, "Sampler", "sampler", s.sampler);
}

void advanced(const Context& c) {
  const JobSpec& s = c.state.form.spec;
  ImGui::PushStyleColor(ImGuiCol_Header, ImGui::GetStyleColorVec4(ImGuiCol_FrameBg));
  bool open = ImGui::CollapsingHeader("More settings");
  ImGui::PopStyleColor();
  if (!open) return;
  field_row(c, "Frame rate", "fps", plain_number(s.fps));
  field_row(c, "Flow shift", "flow_shift", plain_number(s.flow_shift));
  field_row(c, "Sigmas", "sigmas", field_value(s, *find_field("sigmas")).get<std::string>());
  choice_row(c, "Precision", "precision", s.precision);
  choice_row(c, "Device", "device", s.device);
  choice_row(c, "Noise", "rng", s.rng);
  field_row(c, "Threads", "threads", std::to_string(s.threads));
  field_row(c, "Memory", "max_memory", plain_number(s.max_memory));
  row_label("Clips in", "folder for finished clips; what is in it is the gallery");
  std::string text;
  if (text_box("##folder", c.state.output_folder, -1, c.memo.drafts, text)) c.act(SetOutputFolder{text});
  tip(c.state.output_folder);
}

}  // namespace

void create_panel(const Context& c) {
  const ImGuiStyle& style = ImGui::GetStyle();
  bool roomy = ImGui::GetContentRegionAvail().y > em(16);
  float cost = cost_height(c.state, ImGui::GetContentRegionAvail().x);
  float footer = em(2.4f) + cost + 2 * style.ItemSpacing.y;
  if (roomy) ImGui::BeginChild("##form", {0, -footer}, false, ImGuiWindowFlags_NavFlattened);
  prompts(c);
  ImGui::Dummy({0, em(0.1f)});
  model_row(c);
  size_rows(c);
  sampling_rows(c);
  attention_form(c);
  advanced(c);
  if (roomy) ImGui::EndChild();
  ImGui::BeginChild("##cost", {0, cost}, false, ImGuiWindowFlags_NoScrollbar | ImGuiWindowFlags_NoScrollWithMouse);
  cost_form(c);
  ImGui::EndChild();
  const char* label = c.state.form.editing ? "Change the waiting job" : busy(c.state) ? "Add to the queue" : "Render";
  if (primary_button((std::string(label) + "###render").c_str(), {-1, em(2.4f)})) c.press("render");
  tip("add the job to the queue  (Ctrl+Enter)");
}

}  // namespace zt::ui
