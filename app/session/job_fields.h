// The table of JobSpec's fields: one row makes the flag `--name` (underscores as dashes), the key of job files and of
// stored settings, its checks and its help line.
#pragma once

#include <nlohmann/json.hpp>

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "app/session/job_spec.h"

namespace zt {

enum class FieldRole : uint8_t {
  pixels,    // stored with the clip and part of the settings hash
  encoding,  // the same, for what the encoder does with the pixels
  run        // paths, limits and manners: stored nowhere
};

struct Field {
  std::string_view name;  // snake_case
  FieldRole role;
  std::variant<std::string JobSpec::*, int64_t JobSpec::*, double JobSpec::*, bool JobSpec::*, Size JobSpec::*,
               std::vector<double> JobSpec::*>
      member;
  std::string_view help;
  std::string_view value_name;  // as help texts show it
  double low = 0, high = 0;     // numbers only, both inclusive
  std::vector<std::string> choices;
  // Not stored while it has its default: clips that were made before the field existed keep their settings hash.
  bool stored_if_set = false;
};

std::span<const Field> job_fields();
const Field* find_field(std::string_view name);  // null when there is none
std::vector<std::string> field_names();

// Sets a field from text, as a flag gives it; checks the form only (ranges are validate's).
[[nodiscard]] Problem set_field(JobSpec& spec, const Field& field, std::string_view text);
// Sets a field from a JSON scalar of the right type; sizes and lists of numbers are text in JSON, too.
[[nodiscard]] Problem set_field(JobSpec& spec, const Field& field, const nlohmann::json& value);
nlohmann::json field_value(const JobSpec& spec, const Field& field);

}  // namespace zt
