#include "app/engine/embed_cache.h"

#include <algorithm>

namespace zt {

TensorView EmbedCache::find(const std::string& key) {
  auto at = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.key == key; });
  if (at == entries_.end()) return {};
  entries_.splice(entries_.begin(), entries_, at);
  return entries_.front().embeds;
}

void EmbedCache::put(const std::string& key, Tensor embeds) {
  size_t bytes = embeds.view().bytes();
  if (bytes > kMaxBytes) return;
  entries_.push_front({key, std::move(embeds)});
  for (bytes_ += bytes; bytes_ > kMaxBytes; entries_.pop_back()) bytes_ -= entries_.back().embeds.view().bytes();
}

}  // namespace zt
