// Lines of JSON, one an event, each complete when the next begins: whatever happens, what was measured is there.
#pragma once

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace zt::testing {

inline void print_line(const nlohmann::json& j) {
  std::fputs((j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n").c_str(), stdout);
  std::fflush(stdout);
}

inline double now_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace zt::testing
