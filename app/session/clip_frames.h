// A clip as pixels in memory, for looking at: what the window shows and what it saves single frames of.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace zt {

struct ClipFrames {
  int64_t width = 0, height = 0, frames = 0;
  double fps = 16;
  std::vector<uint8_t> rgb;  // [frames, height, width, 3]
  int64_t reduced = 1;       // sides are 1/reduced of the file's, so that a long clip fits into memory

  const uint8_t* frame(int64_t i) const { return rgb.data() + size_t(i) * size_t(height) * size_t(width) * 3; }
};

// Shared and never changed once made: whoever shows a frame keeps it alive.
using Clip = std::shared_ptr<const ClipFrames>;

// One frame with its longest side at most `longest_side`; null for an empty clip.
Clip shrunk_frame(const ClipFrames& clip, int64_t frame, int64_t longest_side);

}  // namespace zt
