#include "app/engine/parallel_jobs.h"

#include <algorithm>

namespace zt {

int64_t parallel_jobs(std::span<const BatchItem> items, int64_t wanted, int64_t threads, size_t memory) {
  int64_t left = 0, tokens = 1, largest_mb = 1;
  bool plain = true;
  for (const BatchItem& i : items) {
    if (i.done) continue;
    ++left;
    tokens = std::max(tokens, i.tokens), largest_mb = std::max(largest_mb, i.memory_mb);
    plain = plain && i.trouble.ok() && i.spec.threads == 0 && i.spec.max_memory == 0 && i.spec.device == "cpu";
  }
  int64_t most = std::max<int64_t>(left, 1);
  if (wanted > 0) return std::min(wanted, most);
  if (!plain) return 1;
  int64_t each = std::min(threads, (tokens + kTokensPerThread - 1) / kTokensPerThread);
  int64_t fit = int64_t(memory >> 20) / 2 / largest_mb;
  return std::clamp<int64_t>(std::min(threads / std::max<int64_t>(each, 1), fit), 1, most);
}

}  // namespace zt
