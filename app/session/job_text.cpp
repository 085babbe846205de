#include "app/session/job_text.h"

#include <set>
#include <stdexcept>

#include "app/session/job_fields.h"
#include "app/session/sha256.h"
#include "app/session/text.h"

namespace zt {
namespace {

// Keys of settings_document that are about the settings, not of them.
constexpr std::string_view kVersionKey = "zoetrope", kHashKey = "settings_hash", kIsaKey = "isa", kModelKey = "model_hash";
constexpr int kMaxDepth = 64;

// Parses with the rules nlohmann::json leaves open: no duplicate keys, bounded depth.
nlohmann::json parse_strict(std::string_view text) {
  std::vector<std::set<std::string>> keys;
  using Event = nlohmann::json::parse_event_t;
  return nlohmann::json::parse(text, [&](int depth, Event event, nlohmann::json& parsed) {
    if (depth > kMaxDepth) throw std::invalid_argument("nested deeper than 64 levels");
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key && !keys.back().insert(parsed.get<std::string>()).second) {
      throw std::invalid_argument("key `" + quotable_text(parsed.get<std::string>()) + "` stands twice");
    }
    return true;
  });
}

}  // namespace

nlohmann::ordered_json settings_json(const JobSpec& spec) {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  for (const Field& f : job_fields()) {
    bool stored = f.role != FieldRole::run && !(f.stored_if_set && field_value(spec, f) == field_value(JobSpec(), f));
    if (stored) out[std::string(f.name)] = field_value(spec, f);
  }
  return out;
}

std::string settings_hash(const JobSpec& spec) { return sha256_hex(nlohmann::json(settings_json(spec)).dump()); }

nlohmann::ordered_json settings_document(const JobSpec& spec, std::string_view version) {
  return settings_document(spec, Origin{std::string(version), "", ""});
}

nlohmann::ordered_json settings_document(const JobSpec& spec, const Origin& origin) {
  nlohmann::ordered_json out;
  out[std::string(kVersionKey)] = origin.version;
  out[std::string(kHashKey)] = settings_hash(spec);
  if (!origin.isa.empty()) out[std::string(kIsaKey)] = origin.isa;
  if (!origin.model_hash.empty()) out[std::string(kModelKey)] = origin.model_hash;
  out.update(settings_json(spec));
  return out;
}

std::string json_quoted(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Problem apply_keys(const nlohmann::json& keys, JobSpec& spec) {
  for (const auto& [key, value] : keys.items()) {
    const Field* field = find_field(key);
    if (!field) {
      std::string nearest = closest_name(key, field_names());
      return "unknown key `" + quotable_text(key) + "`" + (nearest.empty() ? "" : "; did you mean `" + nearest + "`?");
    }
    if (Problem p = set_field(spec, *field, value); !p.empty()) return p;
  }
  return {};
}

Problem read_settings(std::string_view json, JobSpec& spec) {
  Origin origin;
  std::string hash;
  return read_settings(json, spec, origin, hash);
}

Problem read_settings(std::string_view json, JobSpec& spec, Origin& origin, std::string& stated_hash) {
  if (json.size() > kMaxTextBytes) return "settings: longer than 1 MiB";
  nlohmann::json parsed;
  try {
    parsed = parse_strict(json);
  } catch (const nlohmann::json::exception& e) {
    return "settings: not valid JSON: " + quotable_text(e.what(), 200);
  } catch (const std::invalid_argument& e) {
    return std::string("settings: ") + e.what();
  }
  if (!parsed.is_object()) return "settings: not a JSON object";
  auto take = [&](std::string_view key, std::string& to) {
    auto found = parsed.find(std::string(key));
    if (found == parsed.end()) return;
    if (found->is_string()) to = found->get<std::string>();
    parsed.erase(found);
  };
  take(kVersionKey, origin.version), take(kHashKey, stated_hash), take(kIsaKey, origin.isa), take(kModelKey, origin.model_hash);
  return apply_keys(parsed, spec);
}

}  // namespace zt
