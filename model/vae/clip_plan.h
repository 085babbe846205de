// What a clip of a given size needs in memory: one walk over the layers, used by the estimate and by the allocation.
#pragma once

#include <span>
#include <vector>

#include "model/vae/layers.h"

namespace zt {

// A frame [h, w, channels] of the compute type, as the causal convolutions keep them.
struct FrameSize {
  int64_t h = 0, w = 0, channels = 0;
  bool operator==(const FrameSize&) const = default;
};

struct ClipPlan {
  struct Kept {
    FrameSize size;
    size_t bytes = 0;  // of one frame, rounded up to a cache line
    int count = 0;     // two for each convolution over time at this size
  };
  std::vector<FrameSize> layers;  // what enters each layer
  std::vector<Kept> kept;
  size_t slot = 0;        // bytes of each of the two scratch slots
  int64_t attention = 0;  // pixels of the frames that the attention sees

  size_t cache_bytes() const;  // kept frames
  // The kept frames and one spare of each size, as the pool allocates them.
  size_t pool_bytes() const;
};

// h, w: of the frames that enter the first layer.
ClipPlan plan_clip(std::span<const VaeLayer> layers, int64_t h, int64_t w, DType compute);

// Buffers of the kept frames, by size. A convolution takes the spare for its newest frame and gives back the oldest.
class FramePool {
 public:
  Status allocate(const ClipPlan& plan, Arena& arena);
  void clear();
  // Every buffer is free again.
  void reset();
  void* take(const FrameSize& size);
  void give(const FrameSize& size, void* frame);

 private:
  struct Shelf {
    ClipPlan::Kept kept;
    Tensor memory;
    std::vector<void*> free;
  };
  Shelf& shelf(const FrameSize& size);
  std::vector<Shelf> shelves_;
};

}  // namespace zt
