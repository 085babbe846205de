// --grid TxHxW, for every subcommand that takes one.
#pragma once

#include <string>

#include "kernels/plan/attention_plan.h"

namespace zt {

Result<Grid> read_grid(const std::string& text);

}  // namespace zt
