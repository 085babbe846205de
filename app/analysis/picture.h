// Pictures of attention: block maps with axes and frame borders, curves, sheets of many small maps.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/core/status.h"

namespace zt {

struct Picture {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> rgb;  // [height, width, 3]
};
Status write_png(const std::string& path, const Picture& picture, bool replace);

// What the colours of a map stand for.
enum class MapScale : uint8_t {
  fraction,  // 0 .. 1
  lift       // a row-normalised share against an even one: 0.01 times .. 100 times, logarithmic
};

struct MapDrawing {
  std::string title;
  MapScale scale = MapScale::fraction;
  int64_t rows = 0, cols = 0;
  int64_t frame_rows = 0, frame_cols = 0;  // rows and columns of one latent frame, for its borders; 0 = none
  std::span<const float> values;           // [rows, cols]
  std::span<const float> kept;             // [rows, cols], or empty: what a plan leaves out is greyed
};
Picture draw_map(const MapDrawing& map);
// Without axes, of a given side.
Picture draw_small_map(const MapDrawing& map, int64_t side);

// A curve on a logarithmic axis with a fitted one beside it.
Picture draw_curve(const std::string& title, const std::string& x_name, std::span<const double> y, std::span<const double> fitted);

// Small pictures of one size in rows; each row and column has a name, each cell a caption.
struct Sheet {
  std::string title;
  std::vector<std::string> rows, columns;
  std::vector<Picture> cells;  // [rows, columns]; an empty one stays blank
  std::vector<std::string> captions;
};
Picture draw_sheet(const Sheet& sheet);

}  // namespace zt
