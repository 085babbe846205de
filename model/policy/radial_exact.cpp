#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <map>

#include "kernels/plan/plan_build.h"
#include "model/policy/radial_mask.h"

namespace zt {
namespace {

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

// Frames smaller than a block: several whole frames share one, token by token.
Result<PlanPtr> small_frames(int64_t frames, int64_t s, const RadialRule& rule, const std::vector<int64_t>& reaches) {
  PlanParts p;
  p.q = p.k = Blocks::uniform(frames * s, int(std::min(frames, rule.block / s) * s));
  return plan_from_runs(std::move(p), [&](int64_t, int64_t slot, std::vector<KeyRun>& runs) {
    int64_t i = slot / s, k = slot % s;
    for (int64_t j = 0; j < frames; ++j) {
      int64_t w = j == 0 && rule.sink ? s : reaches[size_t(std::abs(i - j))];
      if (w >= 0) runs.push_back({j * s + std::max<int64_t>(k - w, 0), j * s + std::min(k + w + 1, s)});
    }
  });
}

// Blocks that never span two frames: all pairs of frames with the same reach share one band and its masks.
Result<PlanPtr> large_frames(int64_t frames, int64_t s, const RadialRule& rule, const std::vector<int64_t>& reaches) {
  auto began = std::chrono::steady_clock::now();
  PlanParts p;
  p.q.block = p.k.block = rule.block;
  struct Band {
    PlanPtr plan;       // of one pair of frames
    int32_t mask_base;  // of its masks
  };
  std::map<int64_t, Band> bands;
  auto need = [&](int64_t w) -> Status {
    if (w < 0 || bands.contains(w)) return {};
    ZT_ASSIGN_OR_RETURN(PlanPtr band, plan_band(s, w, rule.block));
    bands[w] = {band, int32_t(p.mask_count())};
    p.mask_words.insert(p.mask_words.end(), band->parts().mask_words.begin(), band->parts().mask_words.end());
    return {};
  };
  for (int64_t w : reaches) ZT_RETURN_IF_ERROR(need(w));
  ZT_RETURN_IF_ERROR(need(s));
  Blocks one = Blocks::uniform(s, rule.block);
  p.row_offsets = {0};
  for (int64_t i = 0; i < frames; ++i) {
    for (int64_t row = 0; row < one.count(); ++row) {
      p.q.valid.push_back(one.valid[size_t(row)]);
      for (int64_t j = 0; j < frames; ++j) {
        int64_t w = j == 0 && rule.sink ? s : reaches[size_t(std::abs(i - j))];
        if (w < 0) continue;
        const Band& band = bands.at(w);
        AttentionPlan::Row list = band.plan->row(0, row);
        for (size_t n = 0; n < list.cols.size(); ++n) {
          int32_t m = list.masks.empty() ? -1 : list.masks[n];
          p.cols.push_back(int32_t(j * one.count()) + list.cols[n]);
          p.mask_of.push_back(m < 0 ? -1 : band.mask_base + m);
        }
      }
      p.row_offsets.push_back(int64_t(p.cols.size()));
    }
  }
  p.k.valid = p.q.valid;
  if (p.mask_words.empty()) p.mask_of.clear();
  p.planning_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return AttentionPlan::make(std::move(p));
}

}  // namespace

Result<PlanPtr> radial_exact(const Grid& grid, const RadialRule& rule) {
  int64_t s = grid.h * grid.w;
  std::vector<int64_t> reaches;
  for (int64_t d = 0; d < grid.t; ++d) reaches.push_back(reach(d, s, rule));
  return s > rule.block ? large_frames(grid.t, s, rule, reaches) : small_frames(grid.t, s, rule, reaches);
}

}  // namespace zt
