#include <toml++/toml.h>

#include <sstream>

#include "app/session/job_fields.h"
#include "app/session/job_text.h"
#include "app/session/text.h"

namespace zt {
namespace {

// A job's keys hold scalars only; anything else is named by its key.
Problem to_object(const toml::table& table, nlohmann::json& out) {
  for (const auto& [name, node] : table) {
    std::string key(name.str());
    if (node.is_string()) {
      out[key] = node.as_string()->get();
    } else if (node.is_integer()) {
      out[key] = node.as_integer()->get();
    } else if (node.is_floating_point()) {
      out[key] = node.as_floating_point()->get();
    } else if (node.is_boolean()) {
      out[key] = node.as_boolean()->get();
    } else {
      return key.substr(0, 40) + ": a table, list or date stands where a plain value is wanted";
    }
  }
  JobSpec scratch;
  return apply_keys(out, scratch);
}

}  // namespace

Problem read_job_file(std::string_view text, JobFile& file) {
  if (text.size() > kMaxTextBytes) return "job file: longer than 1 MiB";
  if (auto at = invalid_utf8_at(text)) return "job file: not valid UTF-8 at byte " + std::to_string(*at);
  toml::table root;
  try {
    root = toml::parse(text);
  } catch (const toml::parse_error& e) {
    return "job file: line " + std::to_string(e.source().begin.line) + ": " + std::string(e.description());
  }
  for (const auto& [name, node] : root) {
    std::string key(name.str());
    if (key == "defaults") {
      const toml::table* table = node.as_table();
      if (!table) return "defaults: not a table; write [defaults]";
      if (Problem p = to_object(*table, file.defaults); !p.empty()) return "[defaults]: " + p;
    } else if (key == "job") {
      const toml::array* list = node.as_array();
      if (!list || !list->is_array_of_tables()) return "job: not a list of tables; write [[job]]";
      for (const toml::node& entry : *list) {
        nlohmann::json job = nlohmann::json::object();
        Problem p = to_object(*entry.as_table(), job);
        if (!p.empty()) return "job " + std::to_string(file.jobs.size() + 1) + ": " + p;
        file.jobs.push_back(std::move(job));
      }
    } else {
      std::string nearest = closest_name(key, {"defaults", "job"});
      return "job file: unknown table `" + key.substr(0, 40) + "`" + (nearest.empty() ? "" : "; did you mean `" + nearest + "`?");
    }
  }
  if (file.jobs.empty()) return "job file: no [[job]] in it";
  return {};
}

}  // namespace zt
