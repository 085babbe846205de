// Lists of small numbers as flags give them: 0,3-5.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "kernels/core/status.h"

namespace zt {

// Empty text is the empty set. kInvalid names the flag.
Result<std::set<int64_t>> read_numbers(std::string_view flag, const std::string& text);

}  // namespace zt
