// The methods, one file and one line each; policy.cpp lists them.
#pragma once

#include <memory>

#include "model/policy/parameters.h"

namespace zt {

struct Method {
  PolicyInfo info;
  // The values have passed the table; a rule between two of them is checked here.
  Result<std::shared_ptr<AttentionPolicy>> (*make)(const Parameters&);
};

Method dense_method();
Method radial_method();
Method window_method();
Method svg_method();
Method topk_method();
Method topp_method();
Method adaspa_method();
Method oracle_method();
Method sla_method();
Method auto_method();

}  // namespace zt
