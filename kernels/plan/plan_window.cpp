#include "kernels/plan/plan_window.h"

#include <algorithm>
#include <chrono>

namespace zt {
namespace {

constexpr int64_t kMaxTile = 4096;  // capacity of a block

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Tokens of residue class c on an axis.
int64_t class_length(int64_t length, int64_t dilation, int64_t c) { return ceil_div(length - c, dilation); }

// One axis in tile order: the pieces (class, tile) one after another, each with its first token and how many.
struct Piece {
  int64_t begin, count;
};

std::vector<Piece> axis_pieces(int64_t length, int64_t tile, int64_t dilation) {
  std::vector<Piece> pieces;
  for (int64_t c = 0; c < std::min(dilation, length); ++c) {
    int64_t n = class_length(length, dilation, c);
    for (int64_t at = 0; at < n; at += tile) pieces.push_back({c + at * dilation, std::min(tile, n - at)});
  }
  return pieces;
}

Status check(const Grid& g, const Thw& tile) {
  if (g.t < 1 || g.h < 1 || g.w < 1) return invalid("window: grid {}x{}x{}, each side must be at least 1", g.t, g.h, g.w);
  if (tile.t < 1 || tile.h < 1 || tile.w < 1 || tile.t > kMaxTile || tile.h > kMaxTile || tile.w > kMaxTile || tile.count() > kMaxTile) {
    return invalid("window: tile {}x{}x{} must hold 1..{} tokens", tile.t, tile.h, tile.w, kMaxTile);
  }
  return {};
}

// A tile wider than the axis is the axis: block capacity is what kernels pad to.
Thw cut(const Thw& tile, const Grid& g) { return {std::min(tile.t, g.t), std::min(tile.h, g.h), std::min(tile.w, g.w)}; }

PlanParts parts_of(Tiling& tiling) {
  PlanParts p;
  p.q = p.k = tiling.blocks;
  p.q_order = p.k_order = tiling.order;
  return p;
}

}  // namespace

AxisKeys window_keys(int64_t length, int64_t query, int64_t window, int64_t stride, int64_t dilation) {
  int64_t d = std::clamp<int64_t>(dilation, 1, length), c = query % d, i = query / d, n = class_length(length, d, c);
  int64_t w = std::clamp<int64_t>(window, 1, n), s = std::clamp<int64_t>(stride, 1, w);
  int64_t leader = std::min(i / s * s + s / 2, n - 1);
  int64_t begin = std::clamp<int64_t>(leader - w / 2, 0, n - w);
  return {c + begin * d, w, d};
}

Tiling tile_tokens(const Grid& g, const Thw& tile, const Thw& dilation) {
  Tiling out;
  out.blocks.block = int(tile.count());
  auto ts = axis_pieces(g.t, tile.t, dilation.t), hs = axis_pieces(g.h, tile.h, dilation.h), ws = axis_pieces(g.w, tile.w, dilation.w);
  out.coords.reserve(size_t(g.tokens()));
  for (const Piece& t : ts) {
    for (const Piece& h : hs) {
      for (const Piece& w : ws) {
        for (int64_t a = 0; a < t.count; ++a) {
          for (int64_t b = 0; b < h.count; ++b) {
            for (int64_t c = 0; c < w.count; ++c) {
              out.coords.push_back({t.begin + a * dilation.t, h.begin + b * dilation.h, w.begin + c * dilation.w});
            }
          }
        }
        out.blocks.valid.push_back(int32_t(t.count * h.count * w.count));
      }
    }
  }
  for (const Thw& x : out.coords) out.order.order.push_back(int32_t((x.t * g.h + x.h) * g.w + x.w));
  out.order.sets = 1;
  if (std::is_sorted(out.order.order.begin(), out.order.order.end())) out.order = {};
  return out;
}

Result<PlanPtr> plan_token_window(const Grid& g, const WindowRule& rule, const Thw& asked) {
  ZT_RETURN_IF_ERROR(check(g, asked));
  Thw tile = cut(asked, g), d = {std::clamp<int64_t>(rule.dilation.t, 1, g.t), std::clamp<int64_t>(rule.dilation.h, 1, g.h),
                                 std::clamp<int64_t>(rule.dilation.w, 1, g.w)};
  Tiling tiling = tile_tokens(g, tile, d);
  std::vector<int32_t> slot_of(tiling.coords.size());  // by token
  for (size_t s = 0; s < tiling.coords.size(); ++s) {
    const Thw& x = tiling.coords[s];
    slot_of[size_t((x.t * g.h + x.h) * g.w + x.w)] = int32_t(s);
  }
  // Windows of every place of every axis.
  std::array<std::vector<AxisKeys>, 3> keys;
  for (int64_t i = 0; i < g.t; ++i) keys[0].push_back(window_keys(g.t, i, rule.window.t, rule.stride.t, d.t));
  for (int64_t i = 0; i < g.h; ++i) keys[1].push_back(window_keys(g.h, i, rule.window.h, rule.stride.h, d.h));
  for (int64_t i = 0; i < g.w; ++i) keys[2].push_back(window_keys(g.w, i, rule.window.w, rule.stride.w, d.w));
  return plan_from_runs(parts_of(tiling), [&](int64_t, int64_t slot, std::vector<KeyRun>& runs) {
    const Thw& x = tiling.coords[size_t(slot)];
    const AxisKeys &t = keys[0][size_t(x.t)], &h = keys[1][size_t(x.h)], &w = keys[2][size_t(x.w)];
    for (int64_t a = 0; a < t.count; ++a) {
      for (int64_t b = 0; b < h.count; ++b) {
        int64_t line = ((t.begin + a * t.step) * g.h + h.begin + b * h.step) * g.w;
        // Along w, neighbours of a class share a tile, and so a run, up to the tile's edge.
        for (int64_t c = 0; c < w.count;) {
          int64_t begin = slot_of[size_t(line + w.begin + c * w.step)], end = begin + 1;
          for (++c; c < w.count && slot_of[size_t(line + w.begin + c * w.step)] == end; ++c) ++end;
          if (!runs.empty() && runs.back().end == begin) {
            runs.back().end = end;
          } else {
            runs.push_back({begin, end});
          }
        }
      }
    }
  });
}

Result<PlanPtr> plan_tile_window(const Grid& g, const WindowRule& rule, const Thw& asked) {
  ZT_RETURN_IF_ERROR(check(g, asked));
  auto began = std::chrono::steady_clock::now();
  Thw tile = cut(asked, g), n = {ceil_div(g.t, tile.t), ceil_div(g.h, tile.h), ceil_div(g.w, tile.w)};
  Tiling tiling = tile_tokens(g, tile, {1, 1, 1});
  PlanParts p = parts_of(tiling);
  p.row_offsets = {0};
  for (int64_t t = 0; t < n.t; ++t) {
    AxisKeys kt = window_keys(n.t, t, rule.window.t, rule.stride.t, rule.dilation.t);
    for (int64_t h = 0; h < n.h; ++h) {
      AxisKeys kh = window_keys(n.h, h, rule.window.h, rule.stride.h, rule.dilation.h);
      for (int64_t w = 0; w < n.w; ++w) {
        AxisKeys kw = window_keys(n.w, w, rule.window.w, rule.stride.w, rule.dilation.w);
        for (int64_t a = 0; a < kt.count; ++a) {
          for (int64_t b = 0; b < kh.count; ++b) {
            for (int64_t c = 0; c < kw.count; ++c) {
              p.cols.push_back(
                  int32_t(((kt.begin + a * kt.step) * n.h + kh.begin + b * kh.step) * n.w + kw.begin + c * kw.step));
            }
          }
        }
        p.row_offsets.push_back(int64_t(p.cols.size()));
      }
    }
  }
  p.planning_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return AttentionPlan::make(std::move(p));
}

}  // namespace zt
