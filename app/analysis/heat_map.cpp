#include "app/analysis/heat_map.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "app/media/clip_writer.h"

namespace zt {
namespace {

// Eleven of the 256 published steps of viridis (matplotlib, CC0), straight lines between them: at most 3 of 255 off.
constexpr std::array<std::array<float, 3>, 11> kViridis = {{{68, 1, 84},
                                                            {72, 36, 117},
                                                            {65, 68, 135},
                                                            {53, 95, 141},
                                                            {42, 120, 142},
                                                            {33, 145, 140},
                                                            {34, 168, 132},
                                                            {68, 191, 112},
                                                            {122, 209, 81},
                                                            {189, 223, 38},
                                                            {253, 231, 37}}};

}  // namespace

std::vector<uint8_t> heat_colours(std::span<const float> values) {
  std::vector<uint8_t> rgb;
  rgb.reserve(values.size() * 3);
  for (float v : values) {
    float at = std::clamp(std::isnan(v) ? 0.f : v, 0.f, 1.f) * float(kViridis.size() - 1);
    size_t low = std::min(size_t(at), kViridis.size() - 2);
    float share = at - float(low);
    for (size_t c = 0; c < 3; ++c)
      rgb.push_back(uint8_t(std::lround(kViridis[low][c] * (1 - share) + kViridis[low + 1][c] * share)));
  }
  return rgb;
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
