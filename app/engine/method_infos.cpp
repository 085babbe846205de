#include "app/engine/method_infos.h"

#include "kernels/core/status.h"
#include "model/policy/policy.h"

namespace zt {
namespace {

MethodParameter::Type type_of(ParameterType t) {
  using T = MethodParameter::Type;
  switch (t) {
    case ParameterType::fraction: return T::fraction;
    case ParameterType::integer: return T::integer;
    case ParameterType::thw: return T::thw;
    case ParameterType::choice: return T::choice;
    case ParameterType::boolean: return T::boolean;
  }
  throw Bug("unknown parameter type");
}

}  // namespace

std::vector<MethodInfo> method_infos() {
  std::vector<MethodInfo> out;
  for (const PolicyInfo& p : policy_table()) {
    MethodInfo m;
    m.name = p.name, m.summary = p.summary, m.citation = p.citation, m.advice = p.advice;
    m.needs_trained_weights = p.needs_trained_weights;
    for (const PolicyParameter& q : p.parameters)
      m.parameters.push_back({q.name, type_of(q.type), q.fallback, q.low, q.high, q.choices, q.unit, q.help});
    out.push_back(std::move(m));
  }
  return out;
}

}  // namespace zt
