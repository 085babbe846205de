#include "app/media/palette.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

namespace zt {
namespace {

constexpr int kBits = 5;  // colours are counted at 5 bits a channel: 32,768 cells
constexpr int kLevels = 1 << kBits, kCells = kLevels * kLevels * kLevels;
constexpr size_t kColours = 256;

int cell_of(int r, int g, int b) { return (r >> (8 - kBits)) << 2 * kBits | (g >> (8 - kBits)) << kBits | b >> (8 - kBits); }

struct Cell {
  std::array<int, 3> at;  // position in the cube
  int64_t count = 0;
  std::array<int64_t, 3> sum{};  // of the real colours in it
};

// A run of cells with its longest side and how much is in it.
struct Box {
  size_t begin, end;
  int axis = 0, extent = 0;
  int64_t count = 0;
};

Box measure(const std::vector<Cell>& cells, size_t begin, size_t end) {
  Box box{begin, end};
  std::array<int, 3> low{kLevels, kLevels, kLevels}, high{-1, -1, -1};
  for (size_t i = begin; i < end; ++i) {
    box.count += cells[i].count;
    for (size_t a = 0; a < 3; ++a) low[a] = std::min(low[a], cells[i].at[a]), high[a] = std::max(high[a], cells[i].at[a]);
  }
  for (int a = 0; a < 3; ++a) {
    int extent = high[size_t(a)] - low[size_t(a)];
    if (extent > box.extent) box.extent = extent, box.axis = a;
  }
  return box;
}

}  // namespace

void quantise(const uint8_t* rgb, int width, int height, uint8_t* indices, int stride, uint32_t* palette) {
  std::vector<Cell> cube(kCells);
  int64_t pixels = int64_t(width) * height;
  for (int64_t i = 0; i < pixels; ++i) {
    const uint8_t* p = rgb + 3 * i;
    Cell& c = cube[size_t(cell_of(p[0], p[1], p[2]))];
    ++c.count;
    for (size_t a = 0; a < 3; ++a) c.sum[a] += p[a];
  }
  std::vector<Cell> cells;
  for (int i = 0; i < kCells; ++i) {
    Cell& c = cube[size_t(i)];
    c.at = {i >> 2 * kBits, i >> kBits & (kLevels - 1), i & (kLevels - 1)};
    if (c.count) cells.push_back(c);
  }

  // Cut the box with the most colour spread times pixels at its median until there are enough.
  std::vector<Box> boxes = {measure(cells, 0, cells.size())};
  while (boxes.size() < kColours) {
    auto weight = [](const Box& b) { return b.count * b.extent; };
    auto widest = std::max_element(boxes.begin(), boxes.end(), [&](const Box& a, const Box& b) { return weight(a) < weight(b); });
    if (widest->extent == 0) break;
    Box box = *widest;
    size_t axis = size_t(box.axis);
    std::sort(cells.begin() + ptrdiff_t(box.begin), cells.begin() + ptrdiff_t(box.end), [&](const Cell& a, const Cell& b) {
      return a.at[axis] != b.at[axis] ? a.at[axis] < b.at[axis] : a.at < b.at;  // a total order: the same GIF every time
    });
    int64_t half = box.count / 2, seen = 0;
    size_t cut = box.begin;
    while (cut + 1 < box.end && (cut == box.begin || seen < half)) seen += cells[cut++].count;
    *widest = measure(cells, box.begin, cut);
    boxes.push_back(measure(cells, cut, box.end));
  }

  std::array<std::array<int, 3>, kColours> colours{};
  for (size_t i = 0; i < boxes.size(); ++i) {
    std::array<int64_t, 3> sum{};
    for (size_t k = boxes[i].begin; k < boxes[i].end; ++k) {
      for (size_t a = 0; a < 3; ++a) sum[a] += cells[k].sum[a];
    }
    for (size_t a = 0; a < 3; ++a) colours[i][a] = int((sum[a] + boxes[i].count / 2) / boxes[i].count);
  }
  for (size_t i = 0; i < kColours; ++i) {
    palette[i] = 0xff000000u | uint32_t(colours[i][0]) << 16 | uint32_t(colours[i][1]) << 8 | uint32_t(colours[i][2]);
  }

  constexpr std::array<std::array<int, 4>, 4> kBayer = {{{0, 8, 2, 10}, {12, 4, 14, 6}, {3, 11, 1, 9}, {15, 7, 13, 5}}};
  std::vector<int16_t> nearest(kCells, -1);  // by cell, filled as needed
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const uint8_t* p = rgb + 3 * (int64_t(y) * width + x);
      int shift = (kBayer[size_t(y & 3)][size_t(x & 3)] - 8) / 2;  // -4 .. 3: half a cell
      std::array<int, 3> want;
      for (size_t a = 0; a < 3; ++a) want[a] = std::clamp(p[a] + shift, 0, 255);
      int16_t& found = nearest[size_t(cell_of(want[0], want[1], want[2]))];
      if (found < 0) {
        int best = 1 << 30;
        for (size_t i = 0; i < boxes.size(); ++i) {
          int d = 0;
          for (size_t a = 0; a < 3; ++a) d += (colours[i][a] - want[a]) * (colours[i][a] - want[a]);
          if (d < best) best = d, found = int16_t(i);
        }
      }
      indices[ptrdiff_t(y) * stride + x] = uint8_t(found);
    }
  }
}

}  // namespace zt
