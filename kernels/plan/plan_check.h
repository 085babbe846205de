// What makes a plan valid. Every plan passes here once, whoever made it; kernels then walk lists without looking.
#pragma once

#include "kernels/plan/attention_plan.h"

namespace zt {

// kInvalid with one line: what is wrong and where.
Status check_plan(const PlanParts& p);

// Model heads that the per-head parts ask for; 0 = nothing is per head. check_plan has made sure that they agree.
int64_t model_heads_of(const PlanParts& p);

}  // namespace zt
