#include "app/session/window_state.h"

#include <algorithm>

#include "app/session/job_fields.h"
#include "app/session/job_text.h"

namespace zt {
namespace {

using json = nlohmann::ordered_json;

json whole_spec(const JobSpec& spec) {
  json out = json::object();
  for (const Field& f : job_fields()) out[std::string(f.name)] = field_value(spec, f);
  return out;
}

Problem read_spec(const json& keys, JobSpec& spec) {
  JobSpec read;
  if (!keys.is_object()) return "a job is not an object";
  if (Problem p = apply_keys(nlohmann::json(keys), read); !p.empty()) return p;
  spec = read;
  return {};
}

}  // namespace

std::string window_state_text(const WindowState& s) {
  json out;
  out["version"] = 1;
  out["width"] = s.width, out["height"] = s.height, out["light"] = s.light, out["inspector"] = s.inspector;
  out["text_scale"] = s.text_scale, out["seed_locked"] = s.seed_locked, out["output_folder"] = s.output_folder;
  out["form"] = whole_spec(s.form);
  out["recent_models"] = s.recent_models, out["step_seconds"] = s.step_seconds;
  // Paths need not be UTF-8.
  return out.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

Problem read_window_state(std::string_view text, WindowState& state) {
  try {
    json in = json::parse(text);
    if (!in.is_object()) return "window state: not a JSON object";
    WindowState s;
    s.width = std::clamp(in.value("width", s.width), 1, 16384), s.height = std::clamp(in.value("height", s.height), 1, 16384);
    s.light = in.value("light", s.light), s.inspector = in.value("inspector", s.inspector);
    s.text_scale = std::clamp(in.value("text_scale", s.text_scale), 0.5, 4.);
    s.seed_locked = in.value("seed_locked", s.seed_locked), s.output_folder = in.value("output_folder", s.output_folder);
    s.recent_models = in.value("recent_models", s.recent_models), s.step_seconds = in.value("step_seconds", s.step_seconds);
    if (in.contains("form")) {
      if (Problem p = read_spec(in["form"], s.form); !p.empty()) return "window state: " + p;
    }
    state = s;
    return {};
  } catch (const json::exception& e) {
    return std::string("window state: ") + e.what();
  }
}

}  // namespace zt
