#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <map>
#include <tuple>

#include "model/policy/radial_mask.h"

namespace zt {
namespace {

using Pattern = std::vector<std::pair<int32_t, int32_t>>;  // kept blocks (row, column) of one frame pair's canvas

// The pair's s x s mask |k - l| <= width lies on a canvas of ceil(s / B) blocks a side, from row `oi` and column `oj`
// on; what hangs over the edge is lost. A block is kept when more than 0.6 of its columns that hold anything hold more
// than B / 3 rows. The counts are integers below B, so the released comparisons in float32 come out the same in
// integers: count / B > 1/3 is 3 count > B, dense / (present + 1e-9) > 0.6 is 5 dense > 3 present.
Pattern band_pattern(int64_t s, int64_t block, int64_t width, int64_t oi, int64_t oj) {
  int64_t m = (s + block - 1) / block, rows_end = std::min(oi + s, m * block), cols_end = std::min(oj + s, m * block);
  Pattern kept;
  for (int64_t a = 0; a < m; ++a) {
    int64_t row_begin = std::max(a * block, oi), row_end = std::min((a + 1) * block, rows_end);
    if (row_begin >= row_end) continue;
    // Columns that any of these rows can reach.
    int64_t reach_begin = std::max(oj, row_begin - oi + oj - width), reach_end = std::min(cols_end, row_end - oi + oj + width);
    for (int64_t b = std::max<int64_t>(reach_begin / block, 0); b < m && b * block < reach_end; ++b) {
      int64_t col_begin = std::max(b * block, oj), col_end = std::min((b + 1) * block, cols_end);
      int64_t present = 0, dense = 0;
      for (int64_t c = col_begin; c < col_end; ++c) {
        int64_t middle = c - oj + oi;  // the row with k = l
        int64_t count = std::min(row_end, middle + width + 1) - std::max(row_begin, middle - width);
        present += count > 0;
        dense += 3 * count > block;
      }
      if (5 * dense > 3 * present) kept.emplace_back(int32_t(a), int32_t(b));
    }
  }
  return kept;
}

}  // namespace

Result<PlanPtr> radial_shipped(const Grid& grid, const RadialRule& rule) {
  auto begin = std::chrono::steady_clock::now();
  int64_t s = grid.h * grid.w, frames = grid.t, block = rule.block;
  int64_t side = (grid.tokens() + block - 1) / block;
  double power = double(std::bit_floor(uint64_t(s)));  // the released code measures a frame by this, not by s
  std::vector<uint8_t> map(size_t(side * side), 0);
  std::map<std::tuple<int64_t, int64_t, int64_t>, Pattern> patterns;  // few: offsets repeat, widths halve
  for (int64_t i = 0; i < frames; ++i) {
    for (int64_t j = 0; j < frames; ++j) {
      int64_t d = std::abs(i - j), width = s;
      bool whole = d == 0 || (j == 0 && rule.sink) || (d == 1 && rule.near == RadialNear::full);
      if (!whole) {
        double halved = power / double(std::bit_floor(uint64_t(d)));
        // Decimation has 128 for its threshold whatever the block, and no decay.
        if (d >= 2 && halved < 128 && d % int64_t(128 / halved) != 0) continue;
        width = int64_t(std::max(rule.decay * halved, double(block)));
        if (d == 1 && rule.near == RadialNear::half) width = s / 2;
      }
      int64_t oi = i * s % block, oj = j * s % block;
      auto [it, fresh] = patterns.try_emplace({std::min(width, s), oi, oj});
      if (fresh) it->second = band_pattern(s, block, std::min(width, s), oi, oj);
      int64_t row = i * s / block, col = j * s / block;
      for (auto [a, b] : it->second) {
        if (row + a < side && col + b < side) map[size_t((row + a) * side + col + b)] = 1;
      }
    }
  }
  PlanParts p;
  p.q = p.k = Blocks::uniform(grid.tokens(), rule.block);
  p.row_offsets = {0};
  for (int64_t r = 0; r < side; ++r) {
    for (int64_t c = 0; c < side; ++c) {
      if (map[size_t(r * side + c)]) p.cols.push_back(int32_t(c));
    }
    p.row_offsets.push_back(int64_t(p.cols.size()));
  }
  p.planning_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return AttentionPlan::make(std::move(p));
}

}  // namespace zt
