// A plan as a picture: what it keeps, in the order of its blocks, drawn as the maps of `inspect` are.
#pragma once

#include <string>

#include "app/analysis/picture.h"
#include "kernels/plan/attention_plan.h"

namespace zt {

// Mean over heads. Frames have borders where tokens are in place and no block holds tokens of two frames.
Picture draw_plan(const AttentionPlan& plan, const Grid& grid, const std::string& title);

}  // namespace zt
