// The table of attention methods: name, typed parameters, citation. Command line, window, help and README are made from it.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/dit/attend.h"

namespace zt {

enum class ParameterType : uint8_t {
  fraction,  // a real number in [low, high]
  integer,   // a whole number in [low, high]
  thw,       // three whole numbers as TxHxW, each in [low, high]
  choice,    // one of `choices`
  boolean    // 1 | 0, also true | false, yes | no, on | off
};

std::string_view parameter_type_name(ParameterType type);  // "fraction", "integer", "thw", "choice", "boolean"

struct PolicyParameter {
  std::string name;
  ParameterType type = ParameterType::fraction;
  std::string fallback;  // as it would stand in a SPEC
  double low = 0, high = 1;
  std::vector<std::string> choices;
  std::vector<std::pair<std::string, std::string>> aliases;  // other spellings of choices: {"1", "full"}
  std::string unit, help, citation;
  std::string other_name = {};  // also read in a SPEC

  std::string range() const;  // "a number in 0..1", "TxHxW, each 1..4096", "full | half | decay"
};

struct PolicyInfo {
  std::string name, summary, citation;
  std::string advice;                       // the warm-up its authors use; nothing is dense unless asked for
  std::vector<PolicyParameter> parameters;  // the method's own, then those that every method takes
  bool needs_trained_weights = false;
};

const std::vector<PolicyInfo>& policy_table();

// SPEC = name[:key=value,...] or @FILE, a plan file (model/policy/plan_file.h). kInvalid names the parameter, its
// range and the nearest known name.
Result<std::shared_ptr<AttentionPolicy>> make_policy(const std::string& spec);

// What a SPEC stands for, as 64 hexadecimal digits: of its text, and of the files it names.
Result<std::string> spec_hash(const std::string& spec);

// The plan of a method that needs no tensors, past any dense warm-up. A method that needs them is kInvalid.
Result<PlanPtr> static_plan(AttentionPolicy& policy, const Grid& grid, int64_t heads, const ExecContext& ctx);

}  // namespace zt
