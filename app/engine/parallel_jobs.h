// How many jobs of a batch run side by side, each with a model and threads of its own. A small job keeps few cores busy: its
// steps are too short to be shared out, so several such jobs at a time make more clips an hour. It changes no pixel.
#pragma once

#include <cstdint>
#include <span>

#include "app/engine/batch.h"

namespace zt {

// From here on one more thread is of use to a job.
inline constexpr int64_t kTokensPerThread = 2048;

// Jobs at a time on `threads` cores. wanted: as many as that, where there are so many; 0 = a core for every kTokensPerThread of the
// largest job, as far as half of `memory` (bytes) goes; and one at a time where a job names its own threads or memory, or runs on a GPU.
int64_t parallel_jobs(std::span<const BatchItem> items, int64_t wanted, int64_t threads, size_t memory);

}  // namespace zt
