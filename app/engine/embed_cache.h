// Text embeddings of earlier jobs by their tokens: a grid over seeds asks for the same two prompts again and again.
#pragma once

#include <list>
#include <string>

#include "kernels/core/tensor.h"

namespace zt {

class EmbedCache {
 public:
  // The embedding, or an empty view.
  TensorView find(const std::string& key);
  // Keeps it, and drops the oldest beyond kMaxBytes.
  void put(const std::string& key, Tensor embeds);
  void clear() { entries_.clear(), bytes_ = 0; }
  size_t bytes() const { return bytes_; }

  static constexpr size_t kMaxBytes = size_t(32) << 20;

 private:
  struct Entry {
    std::string key;
    Tensor embeds;
  };
  std::list<Entry> entries_;  // newest first
  size_t bytes_ = 0;
};

}  // namespace zt
