#include <toml++/toml.h>

#include <fmt/format.h>

#include <algorithm>

#include "app/session/job_fields.h"
#include "app/session/job_text.h"
#include "app/session/preset.h"
#include "app/session/text.h"

namespace zt {
namespace {

// A plain value, or null for anything else.
nlohmann::json scalar(const toml::node& node) {
  if (node.is_string()) return node.as_string()->get();
  if (node.is_integer()) return node.as_integer()->get();
  if (node.is_floating_point()) return node.as_floating_point()->get();
  if (node.is_boolean()) return node.as_boolean()->get();
  return nullptr;
}

// Keys in the order of the file. Values are scalars or, where lists are allowed, lists of them; anything else is named by its
// key.
Problem to_object(const toml::table& table, bool lists, nlohmann::ordered_json& out) {
  std::vector<std::pair<const toml::key*, const toml::node*>> entries;
  for (const auto& [name, node] : table) entries.emplace_back(&name, &node);
  auto place = [](const auto& e) { return std::pair(e.first->source().begin.line, e.first->source().begin.column); };
  std::sort(entries.begin(), entries.end(), [&](const auto& a, const auto& b) { return place(a) < place(b); });
  for (const auto& [name, node] : entries) {
    std::string key(name->str());
    nlohmann::json value = scalar(*node);
    std::vector<nlohmann::json> values = {value};
    if (const toml::array* list = node->as_array(); list && lists) {
      values.clear();
      for (const toml::node& v : *list) values.push_back(scalar(v));
      if (values.empty()) return quotable_text(key) + ": an empty list";
      value = values;
    }
    for (const nlohmann::json& v : values) {
      JobSpec scratch;
      if (v.is_null()) return quotable_text(key) + ": a table, list or date stands where a plain value is wanted";
      if (Problem p = apply_keys({{key, v}}, scratch); !p.empty()) return p;
    }
    out[key] = nlohmann::ordered_json(value);
  }
  return {};
}

// " (seed)" for a line that begins with a bare key: a parser's complaint about a value does not name it.
std::string key_of_line(std::string_view text, size_t line) {
  for (; line > 1 && !text.empty(); --line) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  size_t end = std::min(text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), text.size());
  if (end == 0) return {};
  size_t next = text.find_first_not_of(" \t", end);
  return next != std::string_view::npos && text[next] == '=' ? fmt::format(" ({})", text.substr(0, end)) : "";
}

Problem parse(std::string_view what, std::string_view text, toml::table& root) {
  if (text.size() > kMaxTextBytes) return fmt::format("{}: longer than 1 MiB", what);
  if (auto at = invalid_utf8_at(text)) return fmt::format("{}: not valid UTF-8 at byte {}", what, *at);
  try {
    root = toml::parse(text);
  } catch (const toml::parse_error& e) {
    return fmt::format("{}: line {}{}: {}", what, e.source().begin.line, key_of_line(text, e.source().begin.line),
                       quotable_text(e.description(), 200));
  }
  return {};
}

Size size_of(const toml::node_view<toml::node>& node) {
  JobSpec scratch;
  scratch.size = {};
  Problem ignored = set_field(scratch, *find_field("size"), std::string_view(node.value_or(std::string_view())));
  return ignored.empty() ? scratch.size : Size{};
}

}  // namespace

Problem read_preset(std::string_view text, Preset& preset) {
  toml::table root;
  if (Problem p = parse("preset", text, root); !p.empty()) return p;
  preset.layers = root["match"]["layers"].value_or(int64_t(0));
  preset.dim = root["match"]["dim"].value_or(int64_t(0));
  if (const toml::table* defaults = root["defaults"].as_table()) {
    nlohmann::ordered_json keys = nlohmann::ordered_json::object();
    if (Problem p = to_object(*defaults, false, keys); !p.empty()) return "preset: " + p;
    preset.defaults = keys;
  }
  preset.smallest = size_of(root["trained"]["sizes"][0]), preset.largest = size_of(root["trained"]["sizes"][1]);
  preset.shortest = root["trained"]["frames"][0].value_or(preset.shortest);
  preset.longest = root["trained"]["frames"][1].value_or(preset.longest);
  return {};
}

std::string outside_training(const Preset& p, const JobSpec& s) {
  if (p.largest.width > 0) {
    auto [low, high] = std::minmax(s.size.width, s.size.height);
    auto [small_low, small_high] = std::minmax(p.smallest.width, p.smallest.height);
    auto [large_low, large_high] = std::minmax(p.largest.width, p.largest.height);
    if (low < small_low || high < small_high || low > large_low || high > large_high) {
      return fmt::format("size: {}x{} is outside {}x{}..{}x{}, which the model was trained on; expect less", s.size.width,
                         s.size.height, p.smallest.width, p.smallest.height, p.largest.width, p.largest.height);
    }
  }
  if (s.frames < p.shortest || s.frames > p.longest) {
    return fmt::format("frames: {} is outside {}..{}, which the model was trained on; expect less", s.frames, p.shortest,
                       p.longest);
  }
  return {};
}

Problem read_job_file(std::string_view text, JobFile& file) {
  toml::table root;
  if (Problem p = parse("job file", text, root); !p.empty()) return p;
  for (const auto& [name, node] : root) {
    std::string key(name.str());
    if (key == "defaults") {
      const toml::table* table = node.as_table();
      if (!table) return "defaults: not a table; write [defaults]";
      if (Problem p = to_object(*table, true, file.defaults); !p.empty()) return "[defaults]: " + p;
    } else if (key == "job") {
      const toml::array* list = node.as_array();
      if (!list || !list->is_array_of_tables()) return "job: not a list of tables; write [[job]]";
      for (const toml::node& entry : *list) {
        nlohmann::ordered_json job = nlohmann::ordered_json::object();
        Problem p = to_object(*entry.as_table(), true, job);
        if (!p.empty()) return "job " + std::to_string(file.jobs.size() + 1) + ": " + p;
        file.jobs.push_back(std::move(job));
      }
    } else {
      std::string nearest = closest_name(key, {"defaults", "job"});
      return "job file: unknown table `" + quotable_text(key) + "`" + (nearest.empty() ? "" : "; did you mean `" + nearest + "`?");
    }
  }
  if (file.jobs.empty()) return "job file: no [[job]] in it";
  return {};
}

}  // namespace zt
