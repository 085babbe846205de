// Generalised neighbourhood windows (GNA, arXiv 2504.16922; rule as in NATTEN's reference mask). Each axis has its own
// rule; a pair is kept when every axis keeps it. Sliding window: stride 1. Blocked (Swin): stride = window.
#pragma once

#include "kernels/plan/attention_plan.h"

namespace zt {

// Sizes along t, h, w.
struct Thw {
  int64_t t = 1, h = 1, w = 1;
  int64_t count() const { return t * h * w; }
  int64_t operator[](int axis) const { return axis == 0 ? t : axis == 1 ? h : w; }
  bool operator==(const Thw&) const = default;
};

// The keys of a query on one axis: begin, begin + step, ... (count of them).
struct AxisKeys {
  int64_t begin = 0, count = 0, step = 1;
  bool has(int64_t i) const { return i >= begin && i < begin + count * step && (i - begin) % step == 0; }
};

// The axis is split in `dilation` residue classes; inside its class of length L the query i has the leader
// min(floor(i / stride) * stride + floor(stride / 2), L - 1), and its window of `window` keys starts floor(window / 2)
// before the leader, moved inside [0, L). Sizes that do not fit are cut: dilation to the axis, the window to the class,
// the stride to the window; so a window larger than the axis is the whole axis.
AxisKeys window_keys(int64_t length, int64_t query, int64_t window, int64_t stride, int64_t dilation);

// Tokens of a grid in tiles: by residue class of each axis, then tile, then place in the tile, each t-major. Tiles at
// the end of an axis hold fewer tokens; nothing is padded.
struct Tiling {
  Blocks blocks;
  TokenOrder order;  // without sets when it is the order tokens have anyway
};
Tiling tile_tokens(const Grid& grid, const Thw& tile, const Thw& dilation);

struct WindowRule {
  Thw window, stride, dilation;
};

// Token-exact: edge blocks are bit masks. `tile` only says which tokens share a block.
Result<PlanPtr> plan_token_window(const Grid& grid, const WindowRule& rule, const Thw& tile);

// The rule on tiles instead of tokens (window, stride and dilation counted in tiles): whole blocks only. With stride 1
// and an odd window it is sliding tile attention (STA, arXiv 2502.04507).
Result<PlanPtr> plan_tile_window(const Grid& grid, const WindowRule& rule, const Thw& tile);

}  // namespace zt
