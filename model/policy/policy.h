// The table of attention methods: name, typed parameters, citation. Command line, window, help and README are made from it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/dit/attend.h"

namespace zt {

struct PolicyParameter {
  std::string name, unit, help;
  double fallback = 0, low = 0, high = 0;
};

struct PolicyInfo {
  std::string name, summary, citation;
  std::vector<PolicyParameter> parameters;
  bool needs_trained_weights = false;
};

const std::vector<PolicyInfo>& policy_table();

// SPEC = name[:key=value,...]. kInvalid names the parameter, its range and the nearest known name.
Result<std::shared_ptr<AttentionPolicy>> make_policy(const std::string& spec);

}  // namespace zt
