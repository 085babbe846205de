#include "app/session/queue_text.h"

#include <algorithm>
#include <vector>

#include "app/session/job_fields.h"
#include "app/session/job_text.h"

namespace zt {
namespace {

// A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
std::string toml_value(const nlohmann::json& value) {
  std::string text = value.dump();
  for (size_t at = text.find('\x7f'); at != text.npos; at = text.find('\x7f', at)) text.replace(at, 1, "\\u007F");
  return text;
}

// Relative, and plain to a reader that expands templates.
std::string name_in(const std::string& folder, const std::string& path) {
  std::string name;
  for (char c : path.starts_with(folder + "/") ? path.substr(folder.size() + 1) : path) {
    name += c;
    if (c == '{' || c == '}') name += c;
  }
  return name;
}

// A value a field, in the order of the table; empty = left out. What nobody set is written, too: presets differ from model to
// model and must not change a job that waits.
std::vector<std::string> values_of(JobSpec spec, const std::string& folder) {
  for (std::string JobSpec::*name : kOutputNames) spec.*name = name_in(folder, spec.*name);
  spec.resume = false;  // a queue goes on by itself
  std::vector<std::string> values;
  for (const Field& f : job_fields()) {
    nlohmann::json value = field_value(spec, f);
    // An empty one of these says something where the model has another.
    bool says = f.name == "negative_prompt" || f.name == "sigmas";
    bool empty = (value.is_string() && value.get<std::string>().empty() && !says) || value == false ||
                 (f.name == "seconds" && spec.seconds == 0);
    values.push_back(empty ? "" : toml_value(value));
  }
  return values;
}

}  // namespace

std::string queue_text(std::span<const JobSpec> jobs, const std::string& folder, size_t& written) {
  std::span<const Field> fields = job_fields();
  std::vector<std::vector<std::string>> values;
  for (const JobSpec& job : jobs) values.push_back(values_of(job, folder));
  std::vector<bool> shared(fields.size());
  for (size_t f = 0; f < fields.size(); ++f) {
    bool own = fields[f].name == "prompt" || fields[f].name == "output";
    shared[f] = !own && std::all_of(values.begin(), values.end(), [&](const auto& v) { return v[f] == values[0][f]; });
  }
  auto lines = [&](const std::vector<std::string>& of, bool common) {
    std::string text;
    for (size_t f = 0; f < fields.size(); ++f) {
      if (shared[f] == common && !of[f].empty()) text += std::string(fields[f].name) + " = " + of[f] + "\n";
    }
    return text;
  };
  std::string text = "# Jobs that wait in the window. `zoetrope batch` on this file renders them, too.\n";
  written = 0;
  if (jobs.empty()) return text;
  text += "\n[defaults]\n" + lines(values[0], true);
  for (const auto& v : values) {
    std::string job = "\n[[job]]\n" + lines(v, false);
    if (text.size() + job.size() > kMaxTextBytes) break;
    text += job, ++written;
  }
  return text;
}

}  // namespace zt
