#include "app/session/clip_frames.h"

#include <algorithm>

namespace zt {

Clip shrunk_frame(const ClipFrames& clip, int64_t frame, int64_t longest_side) {
  if (clip.frames < 1 || clip.width < 1 || clip.height < 1) return nullptr;
  int64_t k = (std::max(clip.width, clip.height) + longest_side - 1) / longest_side;
  auto small = std::make_shared<ClipFrames>();
  small->width = std::max<int64_t>(1, clip.width / k), small->height = std::max<int64_t>(1, clip.height / k);
  small->frames = 1, small->fps = clip.fps, small->reduced = clip.reduced * k;
  small->rgb.resize(size_t(small->width * small->height * 3));
  const uint8_t* from = clip.frame(std::clamp<int64_t>(frame, 0, clip.frames - 1));
  // Mean of each k x k square.
  int64_t kw = std::min(k, clip.width), kh = std::min(k, clip.height);
  for (int64_t y = 0; y < small->height; ++y) {
    for (int64_t x = 0; x < small->width; ++x) {
      for (int64_t c = 0; c < 3; ++c) {
        int64_t sum = 0;
        for (int64_t dy = 0; dy < kh; ++dy) {
          for (int64_t dx = 0; dx < kw; ++dx) sum += from[((y * k + dy) * clip.width + x * k + dx) * 3 + c];
        }
        small->rgb[size_t((y * small->width + x) * 3 + c)] = uint8_t((sum + kw * kh / 2) / (kw * kh));
      }
    }
  }
  return small;
}

}  // namespace zt
