#include "app/analysis/heat_map.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "app/media/clip_writer.h"

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

Status write_heat_map(const std::string& path, std::span<const float> values, int64_t height, int64_t width) {
  ZT_CHECK(int64_t(values.size()) == height * width);
  ClipSettings s;
  s.output = path;
  s.replace = true;
  s.width = width, s.height = height, s.frames = 1;
  ZT_ASSIGN_OR_RETURN(s.format, choose_clip_format(path, "png", -1, "auto"));
  ZT_ASSIGN_OR_RETURN(auto writer, ClipWriter::open(s));
  ZT_RETURN_IF_ERROR(writer->push(heat_colours(values)));
  ZT_RETURN_IF_ERROR(writer->finish());
  return writer->commit();
}

}  // namespace zt
