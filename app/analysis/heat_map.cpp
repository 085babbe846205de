#include "app/analysis/heat_map.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

namespace zt {
std::vector<uint8_t> heat_colours(std::span<const float> values) {
  cv::Mat level(1, int(values.size()), CV_8UC1), bgr, rgb;
  for (size_t i = 0; i < values.size(); ++i) {
    level.data[i] = uint8_t(std::lround(255 * std::clamp(std::isnan(values[i]) ? 0.f : values[i], 0.f, 1.f)));
  }
  cv::applyColorMap(level, bgr, cv::COLORMAP_VIRIDIS);
  cv::cvtColor(bgr, rgb, cv::COLOR_BGR2RGB);
  return {rgb.data, rgb.data + 3 * values.size()};
}

}  // namespace zt
