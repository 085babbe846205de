// Reads a clip back as RGB frames. Hostile input: only local files, only the formats we know, bounded sizes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kernels/core/status.h"

namespace zt {

struct ClipInfo {
  int64_t width = 0, height = 0;
  double fps = 0;
  std::string container, codec, pix_fmt;           // FFmpeg's names
  std::string matrix, primaries, transfer, range;  // FFmpeg's names; "unknown" where untagged
  std::string comment;
};

class ClipReader {
 public:
  static constexpr int64_t kMaxSide = 16384, kMaxPixels = int64_t(1) << 28;

  // kInvalid: not a clip, or beyond the bounds. A numbered PNG pattern (f_%03d.png) is a clip too, and a
  // folder of 0001.png, 0002.png and so on.
  static Result<std::unique_ptr<ClipReader>> open(const std::string& path);
  virtual ~ClipReader() = default;
  virtual const ClipInfo& info() const = 0;
  // Next frame into rgb [height, width, 3]; false at the end. YUV without a tag reads as BT.709 above 576 lines, else as
  // BT.601, as players do.
  virtual Result<bool> next(uint8_t* rgb) = 0;
};

}  // namespace zt
