#include "app/session/method_info.h"

#include <charconv>
#include <cmath>

#include "app/session/job_text.h"

namespace zt {
namespace {

bool read_number(std::string_view text, double& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(out);
}

bool whole_in_range(std::string_view text, const MethodParameter& p) {
  double v = 0;
  return read_number(text, v) && v == std::floor(v) && v >= p.low && v <= p.high;
}

bool thw_in_range(std::string_view text, const MethodParameter& p) {
  for (int part = 0; part < 3; ++part) {
    size_t cross = part < 2 ? text.find('x') : text.size();
    if (cross == std::string_view::npos || !whole_in_range(text.substr(0, cross), p)) return false;
    text.remove_prefix(part < 2 ? cross + 1 : cross);
  }
  return true;
}

bool legal(std::string_view text, const MethodParameter& p) {
  using T = MethodParameter::Type;
  double v = 0;
  switch (p.type) {
    case T::fraction: return read_number(text, v) && v >= p.low && v <= p.high;
    case T::integer: return whole_in_range(text, p);
    case T::thw: return thw_in_range(text, p);
    case T::choice:
      for (const std::string& c : p.choices) {
        if (c == text) return true;
      }
      return false;
    case T::boolean: return text == "0" || text == "1";
  }
  return false;
}

}  // namespace

MethodChoice parse_method(std::string_view spec) {
  MethodChoice choice;
  if (spec.starts_with('@')) {
    choice.name = kPlanFile, choice.values["file"] = spec.substr(1);
    return choice;
  }
  size_t colon = spec.find(':');
  choice.name = spec.substr(0, colon);
  std::string_view rest = colon == std::string_view::npos ? std::string_view() : spec.substr(colon + 1);
  while (!rest.empty()) {
    size_t comma = rest.find(',');
    std::string_view pair = rest.substr(0, comma);
    size_t equal = pair.find('=');
    if (equal != std::string_view::npos) choice.values[std::string(pair.substr(0, equal))] = pair.substr(equal + 1);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  }
  return choice;
}

const MethodInfo* find_method(const std::vector<MethodInfo>& methods, std::string_view name) {
  for (const MethodInfo& m : methods) {
    if (m.name == name) return &m;
  }
  return nullptr;
}

std::string method_spec(const MethodChoice& choice, const std::vector<MethodInfo>& methods) {
  if (choice.name == kPlanFile) {
    auto file = choice.values.find("file");
    return "@" + (file == choice.values.end() ? std::string() : file->second);
  }
  std::string pairs;
  auto add = [&](const std::string& key, const std::string& value) { pairs += (pairs.empty() ? ":" : ",") + key + "=" + value; };
  const MethodInfo* info = find_method(methods, choice.name);
  if (!info) {
    for (const auto& [key, value] : choice.values) add(key, value);
    return choice.name + pairs;
  }
  for (const MethodParameter& p : info->parameters) {
    auto value = choice.values.find(p.name);
    if (value != choice.values.end() && value->second != p.fallback) add(p.name, value->second);
  }
  return choice.name + pairs;
}

Problem check_method(const MethodChoice& choice, const std::vector<MethodInfo>& methods) {
  if (choice.name == kPlanFile) {
    auto file = choice.values.find("file");
    return file == choice.values.end() || file->second.empty() ? "attention: name a plan file" : "";
  }
  const MethodInfo* info = find_method(methods, choice.name);
  if (!info) return "attention: there is no method `" + choice.name + "`";
  for (const MethodParameter& p : info->parameters) {
    auto value = choice.values.find(p.name);
    if (value != choice.values.end() && !legal(value->second, p))
      return "attention: " + choice.name + ": " + p.name + " cannot be `" + value->second.substr(0, 40) + "`";
  }
  return {};
}

std::string plan_file_text(std::string_view rest, const std::vector<Pin>& pins) {
  // A JSON string is a TOML basic string as well.
  std::string text = "version = 1\ndefault = " + json_quoted(rest) + "\n";
  for (const Pin& pin : pins) {
    text += "\n[[plan]]\nlayers = \"" + std::to_string(pin.layer) + "\"\n";
    if (pin.head >= 0) text += "heads = \"" + std::to_string(pin.head) + "\"\n";
    text += "attn = " + json_quoted(pin.attn) + "\n";
  }
  return text;
}

}  // namespace zt
