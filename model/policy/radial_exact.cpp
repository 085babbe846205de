#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/plan/plan_build.h"
#include "model/policy/radial_mask.h"

namespace zt {
namespace {

// Blocks that never span two frames, or several whole frames where a frame is smaller than a block.
Blocks frame_blocks(int64_t frames, int64_t s, int block) {
  if (s > block) {
    Blocks one = Blocks::uniform(s, block), all{block, {}};
    for (int64_t f = 0; f < frames; ++f) all.valid.insert(all.valid.end(), one.valid.begin(), one.valid.end());
    return all;
  }
  return Blocks::uniform(frames * s, int(std::min(frames, block / s) * s));
}

// Keys l of a frame at distance d that query k keeps: |k - l| <= the result; -1 = none.
int64_t reach(int64_t d, int64_t s, const RadialRule& rule) {
  if (d == 0) return s;
  int64_t power = int64_t(std::bit_floor(uint64_t(d)));
  if (d == 1 && rule.near == RadialNear::full) return s;
  if (d == 1 && rule.near == RadialNear::half) return s / 2;
  // |k - l| + 1 <= decay s / 2^r, the paper's band where decay is 1; the own place always stays.
  if (power <= s) return std::max<int64_t>(int64_t(std::floor(rule.decay * double(s) / double(power))), 1) - 1;
  return d % ((power + s - 1) / s) == 0 ? 0 : -1;
}

}  // namespace

Result<PlanPtr> radial_exact(const Grid& grid, const RadialRule& rule) {
  int64_t s = grid.h * grid.w, frames = grid.t;
  PlanParts p;
  p.q = p.k = frame_blocks(frames, s, rule.block);
  std::vector<int64_t> reaches;
  for (int64_t d = 0; d < frames; ++d) reaches.push_back(reach(d, s, rule));
  return plan_from_runs(std::move(p), [&](int64_t, int64_t slot, std::vector<KeyRun>& runs) {
    int64_t i = slot / s, k = slot % s;
    for (int64_t j = 0; j < frames; ++j) {
      int64_t w = j == 0 && rule.sink ? s : reaches[size_t(std::abs(i - j))];
      if (w >= 0) runs.push_back({j * s + std::max<int64_t>(k - w, 0), j * s + std::min(k + w + 1, s)});
    }
  });
}

}  // namespace zt
