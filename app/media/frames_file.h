// Raw frames as safetensors, written while they come: tensor `frames` [T, H, W, 3] u8.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "app/media/output_file.h"

namespace zt {

class FramesFile {
 public:
  static Result<std::unique_ptr<FramesFile>> open(const std::string& path, bool replace, int64_t frames, int64_t height, int64_t width);
  ~FramesFile();
  Status write(const uint8_t* rgb);  // one frame
  Status commit();                   // after the last frame

 private:
  FramesFile(PendingFile file, std::FILE* f, int64_t frames, size_t frame_bytes)
      : file_(std::move(file)), stream_(f), frames_(frames), frame_bytes_(frame_bytes) {}
  PendingFile file_;
  std::FILE* stream_;
  int64_t frames_, written_ = 0;
  size_t frame_bytes_;
};

}  // namespace zt
