// Prompt cleaning as diffusers' prompt_clean does it (without ftfy): HTML entities decoded twice, whitespace runs to one
// space, trimmed. Input must be valid UTF-8: kInvalid says at which byte it is not.
#pragma once

#include <string>

#include "kernels/core/status.h"

namespace zt {

Result<std::string> clean_prompt(std::string_view text);

}  // namespace zt
