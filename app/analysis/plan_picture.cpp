#include "app/analysis/plan_picture.h"

#include <algorithm>

namespace zt {
namespace {

struct Side {
  int64_t cells = 0, frame = 0;  // of the raster, and of one latent frame in it; 0 = no borders
};

// A cell a block as long as there are few enough of them to be seen.
Side side_of(const Blocks& blocks, int64_t tokens, bool in_place, const Grid& grid) {
  constexpr int64_t kMostCells = 1024;
  int64_t area = grid.h * grid.w;
  bool framed = in_place && tokens == grid.tokens() && area % blocks.block == 0;
  bool whole = tokens == blocks.count() * blocks.block && blocks.count() <= kMostCells;
  if (whole) return {blocks.count(), framed ? area / blocks.block : 0};
  if (framed && grid.t <= kMostCells) return {grid.t * (kMostCells / grid.t), kMostCells / grid.t};
  return {std::min(tokens, kMostCells), 0};
}

}  // namespace

Picture draw_plan(const AttentionPlan& plan, const Grid& grid, const std::string& title) {
  const PlanParts& p = plan.parts();
  Side rows = side_of(p.q, plan.nq(), !plan.has_order(), grid), cols = side_of(p.k, plan.nk(), !plan.has_order(), grid);
  if (rows.frame == 0 || cols.frame == 0) rows.frame = cols.frame = 0;  // the axes have one name
  std::vector<float> kept = plan.raster(-1, rows.cells, cols.cells);
  MapDrawing map;
  map.title = title, map.scale = MapScale::fraction, map.values = kept;
  map.rows = rows.cells, map.cols = cols.cells, map.frame_rows = rows.frame, map.frame_cols = cols.frame;
  return draw_map(map);
}

}  // namespace zt
