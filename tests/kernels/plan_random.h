// Random plans that hurt: odd tails, rows without keys, shared and own lists, masks, orders, biases, linear parts.
#pragma once

#include "kernels/plan/attention_plan.h"
#include "tests/support/random.h"

namespace zt::testing {

struct RandomPlanOptions {
  int64_t max_tokens = 120;
  int64_t heads = 3;  // model heads, when the plan has any
  bool masks = true, orders = true, linear = true, bias = true, head_map = true, empty_rows = true;
};

// Parts of a valid plan; the same for the same state of `r`.
PlanParts random_parts(Random& r, const RandomPlanOptions& o = {});

}  // namespace zt::testing
