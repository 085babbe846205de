#include "model/policy/policy.h"

#include <algorithm>

#include "kernels/plan/sha256.h"
#include "model/policy/methods.h"
#include "model/policy/plan_file.h"
#include "model/policy/warm_up.h"

namespace zt {
namespace {

const std::vector<Method>& methods() {
  static const std::vector<Method> table = [] {
    std::vector<Method> t = {
        dense_method(),
        radial_method(),
        window_method(),
        svg_method(),
        topk_method(),
        topp_method(),
        adaspa_method(),
        oracle_method(),
        sla_method(),
        auto_method(),
    };
    for (Method& m : t)
      m.info.parameters.insert(m.info.parameters.end(), warm_up_parameters().begin(), warm_up_parameters().end());
    return t;
  }();
  return table;
}

}  // namespace

const std::vector<PolicyInfo>& policy_table() {
  static const std::vector<PolicyInfo> table = [] {
    std::vector<PolicyInfo> t;
    for (const auto& m : methods()) t.push_back(m.info);
    return t;
  }();
  return table;
}

Result<std::shared_ptr<AttentionPolicy>> make_policy(const std::string& spec) {
  // A SPEC may come from a file of anyone's, and stands in messages of one line.
  if (std::any_of(spec.begin(), spec.end(), [](char c) { return uint8_t(c) < 0x20 || c == 0x7f; }))
    return invalid("--attn: a control character in the method's name or parameters");
  if (spec.starts_with('@')) return policy_from_file(spec.substr(1));
  size_t colon = spec.find(':');
  std::string name = spec.substr(0, colon), rest = colon == std::string::npos ? "" : spec.substr(colon + 1);
  std::vector<std::string> names;
  for (const auto& m : methods()) {
    names.push_back(m.info.name);
    if (m.info.name != name) continue;
    if (colon != std::string::npos && rest.empty()) return invalid("--attn {}: key=value expected after ':'", spec);
    ZT_ASSIGN_OR_RETURN(Parameters p, Parameters::parse(m.info, rest));
    ZT_ASSIGN_OR_RETURN(auto policy, m.make(p));
    return with_warm_up(std::move(policy), p);
  }
  return invalid("--attn {}: unknown attention method '{}'; the nearest known one is '{}' (see `zoetrope policies`)",
                 spec.substr(0, 200), name.substr(0, 40), nearest_name(name.substr(0, 40), names));
}

Result<std::string> spec_hash(const std::string& spec) {
  Sha256 sha;
  sha.add(spec);
  if (spec.starts_with('@')) {
    ZT_ASSIGN_OR_RETURN(auto texts, plan_file_texts(spec.substr(1)));
    // Lengths keep two files apart that differ in where one ends.
    for (const std::string& text : texts) sha.add(fmt::format("\n{}\n", text.size())), sha.add(text);
  }
  return hex(sha.finish());
}

Result<PlanPtr> static_plan(AttentionPolicy& policy, const Grid& grid, int64_t heads, const ExecContext& ctx) {
  if (policy.needs() != PolicyNeeds::nothing) {
    return invalid("{} plans from queries and keys; a grid alone does not settle its plan", policy.name());
  }
  PolicyInput in;
  in.site.grid = grid;
  in.heads = heads;
  in.past_warm_up = true;
  return policy.plan(in, ctx);
}

}  // namespace zt
