// Small text helpers of the contract: UTF-8 checks and "did you mean".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace zt {

// Byte offset of the first byte that is not valid UTF-8 (overlong forms, surrogates and code points above 10FFFF
// included), or nothing.
std::optional<size_t> invalid_utf8_at(std::string_view text);

// The beginning of a user's text as it may stand in a one-line message: at most `bytes` of it, cut between characters, control
// characters as ?.
std::string quotable_text(std::string_view text, size_t bytes = 40);

// The known name with the smallest edit distance, or empty when nothing is near (more than half of the name differs).
std::string closest_name(std::string_view name, const std::vector<std::string>& known);

}  // namespace zt
