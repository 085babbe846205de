// Lenient access to optional fields of a JSON object: what is absent, null or of another type counts as not there.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace zt {

inline const nlohmann::json* json_field(const nlohmann::json& j, const char* key) {
  if (!j.is_object()) return nullptr;
  auto it = j.find(key);
  return it == j.end() || it->is_null() ? nullptr : &*it;
}

inline bool json_flag(const nlohmann::json& j, const char* key) {
  const nlohmann::json* v = json_field(j, key);
  return v && v->is_boolean() && v->get<bool>();
}

inline std::string json_text(const nlohmann::json& j, const char* key) {
  const nlohmann::json* v = json_field(j, key);
  return v && v->is_string() ? v->get<std::string>() : std::string();
}

}  // namespace zt
