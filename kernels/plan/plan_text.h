// Plans as text: TOML, versioned, with the plan's hash. Reading trusts nothing: another version, a wrong hash, unknown
// keys, unsorted or out-of-range blocks, or counts that do not fit are refused whole, with one line.
#pragma once

#include <string>
#include <string_view>

#include "kernels/plan/attention_plan.h"

namespace zt {

constexpr int kPlanTextVersion = 1;
// The lists of a dense 75,600-token plan of 12 heads are about 90 MB of text; a plan that large is better built anew.
constexpr size_t kMaxPlanText = size_t(128) << 20;

std::string plan_to_text(const AttentionPlan& plan);
Result<PlanPtr> plan_from_text(std::string_view text);

}  // namespace zt
