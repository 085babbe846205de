#include <nlohmann/json.hpp>

#include "app/headless/print.h"
#include "app/headless/subcommand.h"
#include "model/policy/policy.h"

namespace zt {
namespace {

nlohmann::ordered_json as_json(const PolicyInfo& p) {
  nlohmann::ordered_json j;
  j["name"] = p.name, j["summary"] = p.summary, j["citation"] = p.citation, j["advice"] = p.advice;
  j["needs_trained_weights"] = p.needs_trained_weights;
  auto& parameters = j["parameters"] = nlohmann::ordered_json::array();
  for (const PolicyParameter& q : p.parameters) {
    nlohmann::ordered_json e;
    e["name"] = q.name, e["type"] = parameter_type_name(q.type), e["default"] = q.fallback;
    if (q.type == ParameterType::choice) {
      e["choices"] = q.choices;
    } else if (q.type != ParameterType::boolean) {
      e["low"] = q.low, e["high"] = q.high;
    }
    e["unit"] = q.unit, e["help"] = q.help;
    parameters.push_back(std::move(e));
  }
  return j;
}

}  // namespace

std::function<int()> setup_policies(CLI::App& app) {
  auto json = std::make_shared<bool>(false);
  app.add_flag("--json", *json, "print the table as JSON");
  return [json] {
    nlohmann::ordered_json out;
    out["policies"] = nlohmann::ordered_json::array();
    std::string text;
    for (const PolicyInfo& p : policy_table()) {
      out["policies"].push_back(as_json(p));
      text += fmt::format("{:12} {} ({}){}\n", p.name, p.summary, p.citation,
                          p.needs_trained_weights ? "; needs trained weights" : "");
      if (!p.advice.empty()) text += fmt::format("{:12} {}\n", "", p.advice);
      for (const PolicyParameter& q : p.parameters) {
        text += fmt::format("    {}={}  {}: {}{}\n", q.name, q.fallback, q.help, q.range(),
                            q.unit.empty() ? "" : " (" + q.unit + ")");
      }
    }
    *json ? print_json(out) : print_result(text);
    return 0;
  };
}

}  // namespace zt
