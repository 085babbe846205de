// One way of storing frames, driven by one thread: a container file through FFmpeg, or a PNG per frame.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "app/media/clip_format.h"
#include "app/media/output_stream.h"

namespace zt {

struct ClipSettings {
  std::string output;
  bool replace = false;
  ClipFormat format;
  int64_t width = 0, height = 0, frames = 0;
  double fps = 16;
  WriteFaults* faults = nullptr;
  std::string comment;  // settings for the container, one line of JSON; empty = none
};

class FrameEncoder {
 public:
  virtual ~FrameEncoder() = default;  // removes what has no final name yet
  // rgb: [height, width, 3], dense.
  virtual Status write(const uint8_t* rgb) = 0;
  virtual Status finish() = 0;  // everything is in the temporary files
  virtual Status commit() = 0;  // final names
};

// Open the temporary files, so an unwritable place shows here (kInvalid).
Result<std::unique_ptr<FrameEncoder>> open_container(const ClipSettings& settings);
Result<std::unique_ptr<FrameEncoder>> open_images(const ClipSettings& settings);

}  // namespace zt
