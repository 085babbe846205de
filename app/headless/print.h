// The two streams: human text on standard error, results on standard output.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "kernels/core/status.h"

namespace zt {

void print_result(std::string_view text);  // as it is, to standard output, flushed
void print_json(const nlohmann::ordered_json& json);  // one line to standard output; bytes that are not UTF-8 become U+FFFD
void print_note(std::string_view line);    // one line to standard error
void print_error(std::string_view line);   // "zoetrope: error: ..."
int print_status(const Status& status);    // the error of a status; its exit code

// One line a key, for people: what --json prints as an object.
std::string figures_text(const nlohmann::ordered_json& figures);

}  // namespace zt
