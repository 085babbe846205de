// The attention methods as a client sees them: names, typed parameters, help. Filled from the registry of methods, so a
// new method has its controls without a line in the window. And the two texts about them: a SPEC and a plan file.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "app/session/job_spec.h"

namespace zt {

struct MethodParameter {
  enum class Type : uint8_t { fraction, integer, thw, choice, boolean };
  std::string name;
  Type type = Type::fraction;
  std::string fallback;  // as it would stand in a SPEC
  double low = 0, high = 1;
  std::vector<std::string> choices;
  std::string unit, help;
};

struct MethodInfo {
  std::string name, summary, citation, advice;
  std::vector<MethodParameter> parameters;
  bool needs_trained_weights = false;
};

// name[:key=value,...] taken apart. `@FILE` has the name "@" and the file under the key "file".
struct MethodChoice {
  std::string name = "dense";
  std::map<std::string, std::string> values;  // only what differs from the defaults need stand here
  bool operator==(const MethodChoice&) const = default;
};

inline constexpr std::string_view kPlanFile = "@";

MethodChoice parse_method(std::string_view spec);
// Values that equal the method's defaults are left out; keys in the order of the table.
std::string method_spec(const MethodChoice& choice, const std::vector<MethodInfo>& methods);
const MethodInfo* find_method(const std::vector<MethodInfo>& methods, std::string_view name);
// One line that names the parameter, or empty.
[[nodiscard]] Problem check_method(const MethodChoice& choice, const std::vector<MethodInfo>& methods);

// One head, or all heads of a layer (head < 0), planned by another method than the rest.
struct Pin {
  int64_t layer = 0, head = -1;
  std::string attn;
  bool operator==(const Pin&) const = default;
};

// A plan file: `rest` everywhere but at the pins.
std::string plan_file_text(std::string_view rest, const std::vector<Pin>& pins);

}  // namespace zt
