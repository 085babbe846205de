#include "app/session/events.h"

#include <array>

namespace zt {

std::string_view state_name(JobState s) {
  constexpr std::array<std::string_view, 9> kNames = {"queued",  "loading", "encoding", "denoising", "decoding",
                                                      "writing", "done",    "failed",   "cancelled"};
  return kNames[size_t(s)];
}

}  // namespace zt
