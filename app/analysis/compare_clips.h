// Two clips, frame by frame: how far apart they are, and pictures that show where.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/core/status.h"

namespace zt {

// Frames one after the other, of a clip or of a `frames` tensor [T, H, W, 3] u8 in a safetensors file.
class FrameSource {
 public:
  static Result<std::unique_ptr<FrameSource>> open(const std::string& path);
  virtual ~FrameSource() = default;
  int64_t width() const { return width_; }
  int64_t height() const { return height_; }
  double fps() const { return fps_; }  // 0 = not known
  // Next frame into rgb [height, width, 3]; false at the end.
  virtual Result<bool> next(uint8_t* rgb) = 0;

 protected:
  int64_t width_ = 0, height_ = 0;
  double fps_ = 0;
};

struct FrameDifference {
  double psnr = 0, ssim = 0;
};

struct ClipDifference {
  int64_t width = 0, height = 0;
  double fps = 0;
  std::vector<FrameDifference> frames;
  double psnr = 0;       // of all samples together
  double psnr_mean = 0;  // mean of the frames
  double psnr_min = 0, ssim_mean = 0, ssim_min = 0;
  bool identical = false;  // every byte
};

struct ComparePictures {
  std::string side_by_side, wipe, difference;  // clips to write; empty = not
  double amplify = 8;                          // of the difference
  double fps = 16;                             // of sources that do not say
  bool replace = false;
};

// Sizes and lengths must agree (kInvalid).
Result<ClipDifference> compare_clips(const std::string& a, const std::string& b, const ComparePictures& pictures);

}  // namespace zt
