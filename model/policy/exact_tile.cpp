#include "model/policy/exact_tile.h"

#include <tuple>

namespace zt {
namespace {

struct Candidate {
  Thw tile;
  int64_t tiles;  // of the grid; fewer = fuller
};

std::vector<Candidate> candidates(const Grid& g, int64_t block, bool clipped) {
  std::vector<Candidate> list;
  for (int64_t t = 1; t <= std::min(g.t, block); ++t) {
    for (int64_t h = 1; h <= std::min(g.h, block / t); ++h) {
      for (int64_t w = 1; w <= std::min(g.w, block / (t * h)); ++w) {
        if (!clipped && (g.t % t != 0 || g.h % h != 0 || g.w % w != 0)) continue;
        list.push_back({{t, h, w}, (g.t + t - 1) / t * ((g.h + h - 1) / h) * ((g.w + w - 1) / w)});
      }
    }
  }
  return list;
}

}  // namespace

Thw exact_tile(const Grid& grid, int64_t block) {
  std::vector<Candidate> list = candidates(grid, block, false);
  auto fewest = [&] {
    int64_t n = grid.tokens();
    for (const Candidate& c : list) n = std::min(n, c.tiles);
    return n;
  };
  if (2 * grid.tokens() < block * fewest()) list = candidates(grid, block, true);
  const int64_t fullest = fewest();
  const Candidate* best = nullptr;
  auto rank = [](const Candidate& c) { return std::tuple(c.tile.t + c.tile.h + c.tile.w, -c.tile.count(), c.tile.t, c.tile.h); };
  for (const Candidate& c : list) {
    bool full = 9 * c.tiles <= 10 * fullest;  // mean fill = tokens / tiles
    if (full && (!best || rank(c) < rank(*best))) best = &c;
  }
  return best->tile;
}

}  // namespace zt
