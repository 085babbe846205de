#include "model/policy/policy.h"

#include <algorithm>
#include <numeric>

#include "model/policy/methods.h"

namespace zt {
namespace {

struct Method {
  PolicyInfo info;
  std::shared_ptr<AttentionPolicy> (*make)();
};

const std::vector<Method>& methods() {
  static const std::vector<Method> table = {
      {{"dense", "every query reads every key: exact attention", "Vaswani et al., arXiv 1706.03762", {}, false}, make_dense},
  };
  return table;
}

// Levenshtein distance, for "did you mean".
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t(0));
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t up = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = up;
    }
  }
  return row.back();
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
  size_t colon = spec.find(':');
  std::string name = spec.substr(0, colon), rest = colon == std::string::npos ? "" : spec.substr(colon + 1);
  const Method* nearest = &methods().front();
  for (const auto& m : methods()) {
    if (distance(name, m.info.name) < distance(name, nearest->info.name)) nearest = &m;
    if (m.info.name != name) continue;
    if (!rest.empty()) return invalid("--attn {}: '{}' takes no parameter '{}'", spec, name, rest.substr(0, rest.find('=')));
    return m.make();
  }
  return invalid("--attn {}: unknown attention method '{}'; the nearest known one is '{}' (see `zoetrope policies`)", spec, name,
                 nearest->info.name);
}

}  // namespace zt
