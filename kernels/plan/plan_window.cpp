#include "kernels/plan/plan_window.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <tuple>

namespace zt {
namespace {

constexpr int64_t kMaxTile = 4096;  // capacity of a block
constexpr int64_t kMaxTokens = int64_t(1) << 20;
constexpr int64_t kMaxPieces = 8192;          // along one axis; every pair of them is looked at
constexpr double kMaxKept = double(1 << 28);  // kept blocks: 1 GiB of lists

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

// What the pieces of one axis keep of each other: for every pair of pieces a small matrix of bits, equal ones shared.
class AxisBlocks {
 public:
  struct Mask {
    int64_t rows = 0, cols = 0;
    std::vector<uint8_t> keep;  // [rows, cols]
    bool whole = false;
    bool operator<(const Mask& o) const { return std::tie(rows, cols, keep) < std::tie(o.rows, o.cols, o.keep); }
  };

  AxisBlocks(int64_t length, int64_t tile, int64_t window, int64_t stride, int64_t dilation)
      : pieces_(axis_pieces(length, tile, dilation)) {
    std::vector<AxisKeys> keys;  // of each token
    for (int64_t i = 0; i < length; ++i) keys.push_back(window_keys(length, i, window, stride, dilation));
    std::map<Mask, int> known;
    ids_.assign(pieces_.size() * pieces_.size(), -1);
    for (size_t q = 0; q < pieces_.size(); ++q) {
      // The windows of a piece's tokens start in order: none reads beyond [first, last), all read [all_first, all_last).
      const Piece& rows = pieces_[q];
      const AxisKeys &low = keys[size_t(rows.begin)], &high = keys[size_t(rows.begin + (rows.count - 1) * dilation)];
      int64_t first = low.begin, last = high.begin + high.count * high.step, all_first = high.begin,
              all_last = low.begin + low.count * low.step;
      for (size_t k = 0; k < pieces_.size(); ++k) {
        const Piece& cols = pieces_[k];
        int64_t end = cols.begin + cols.count * dilation;
        if ((cols.begin - rows.begin) % dilation != 0 || cols.begin >= last || end <= first) continue;
        Mask m{rows.count, cols.count, {}, cols.begin >= all_first && end <= all_last};
        for (int64_t n = 0; n < rows.count * cols.count; ++n) {
          m.keep.push_back(m.whole ||
                           keys[size_t(rows.begin + n / cols.count * dilation)].has(cols.begin + n % cols.count * dilation));
        }
        auto [it, fresh] = known.try_emplace(m, int(masks_.size()));
        if (fresh) masks_.push_back(std::move(m));
        ids_[q * pieces_.size() + k] = it->second;
      }
    }
  }

  int64_t count() const { return int64_t(pieces_.size()); }
  int64_t kept() const {
    return std::count_if(ids_.begin(), ids_.end(), [](int id) { return id >= 0; });
  }
  int id(int64_t q, int64_t k) const { return ids_[size_t(q * count() + k)]; }  // -1 = nothing kept
  const Mask& mask(int id) const { return masks_[size_t(id)]; }

 private:
  std::vector<Piece> pieces_;
  std::vector<int> ids_;
  std::vector<Mask> masks_;
};

// One more mask of the plan: (query, key) is kept where all three axes keep it; places inside a block are t-major.
void append_product(PlanParts& p, const AxisBlocks::Mask& t, const AxisBlocks::Mask& h, const AxisBlocks::Mask& w) {
  size_t at = p.mask_words.size();
  p.mask_words.resize(at + size_t(p.mask_size()), 0);
  for (int64_t q = 0; q < t.rows * h.rows * w.rows; ++q) {
    const uint8_t* kt = t.keep.data() + q / (h.rows * w.rows) * t.cols;
    const uint8_t* kh = h.keep.data() + q / w.rows % h.rows * h.cols;
    const uint8_t* kw = w.keep.data() + q % w.rows * w.cols;
    uint64_t* row = p.mask_words.data() + at + size_t(q * p.mask_row_words());
    for (int64_t k = 0; k < t.cols * h.cols * w.cols; ++k) {
      bool keep = kt[k / (h.cols * w.cols)] && kh[k / w.cols % h.cols] && kw[k % w.cols];
      row[k / 64] |= uint64_t(keep) << (k % 64);
    }
  }
}

Status check(const Grid& g, const Thw& tile) {
  if (std::min({g.t, g.h, g.w}) < 1 || std::max({g.t, g.h, g.w}) > kMaxTokens || g.tokens() > kMaxTokens) {
    return invalid("window: grid {}x{}x{}, each side must be at least 1 and the tokens at most {}", g.t, g.h, g.w, kMaxTokens);
  }
  if (tile.t < 1 || tile.h < 1 || tile.w < 1 || tile.t > kMaxTile || tile.h > kMaxTile || tile.w > kMaxTile ||
      tile.count() > kMaxTile) {
    return invalid("window: tile {}x{}x{} must hold 1..{} tokens", tile.t, tile.h, tile.w, kMaxTile);
  }
  return {};
}

// The axes are independent, so the kept blocks of a plan are the product of their counts.
Status check_kept(int64_t t, int64_t h, int64_t w) {
  double kept = double(t) * double(h) * double(w);
  if (kept > kMaxKept) return invalid("window: {:.0f} kept blocks, allowed are {:.0f}; take larger tiles", kept, kMaxKept);
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
  auto ts = axis_pieces(g.t, tile.t, dilation.t), hs = axis_pieces(g.h, tile.h, dilation.h),
       ws = axis_pieces(g.w, tile.w, dilation.w);
  out.order.order.reserve(size_t(g.tokens()));
  for (const Piece& t : ts) {
    for (const Piece& h : hs) {
      for (const Piece& w : ws) {
        for (int64_t a = 0; a < t.count; ++a) {
          for (int64_t b = 0; b < h.count; ++b) {
            for (int64_t c = 0; c < w.count; ++c) {
              int64_t line = (t.begin + a * dilation.t) * g.h + h.begin + b * dilation.h;
              out.order.order.push_back(int32_t(line * g.w + w.begin + c * dilation.w));
            }
          }
        }
        out.blocks.valid.push_back(int32_t(t.count * h.count * w.count));
      }
    }
  }
  out.order.sets = 1;
  if (std::is_sorted(out.order.order.begin(), out.order.order.end())) out.order = {};
  return out;
}

Result<PlanPtr> plan_token_window(const Grid& g, const WindowRule& rule, const Thw& asked) {
  ZT_RETURN_IF_ERROR(check(g, asked));
  auto began = std::chrono::steady_clock::now();
  Thw tile = cut(asked, g), d = {std::clamp<int64_t>(rule.dilation.t, 1, g.t), std::clamp<int64_t>(rule.dilation.h, 1, g.h),
                                 std::clamp<int64_t>(rule.dilation.w, 1, g.w)};
  for (auto [length, piece, classes] :
       {std::array{g.t, tile.t, d.t}, std::array{g.h, tile.h, d.h}, std::array{g.w, tile.w, d.w}}) {
    int64_t pieces = int64_t(axis_pieces(length, piece, classes).size());
    if (pieces > kMaxPieces)
      return invalid("window: {} tiles along one axis, allowed are {}; take larger tiles", pieces, kMaxPieces);
  }
  Tiling tiling = tile_tokens(g, tile, d);
  PlanParts p = parts_of(tiling);
  std::array<AxisBlocks, 3> axes = {AxisBlocks(g.t, tile.t, rule.window.t, rule.stride.t, d.t),
                                    AxisBlocks(g.h, tile.h, rule.window.h, rule.stride.h, d.h),
                                    AxisBlocks(g.w, tile.w, rule.window.w, rule.stride.w, d.w)};
  const auto& [t, h, w] = axes;
  ZT_RETURN_IF_ERROR(check_kept(t.kept(), h.kept(), w.kept()));
  // A block's mask is the product of three axis masks, so equal axis masks make equal block masks: each is made once.
  std::map<std::array<int, 3>, int32_t> known;
  bool masked = false;
  p.row_offsets = {0};
  for (int64_t qt = 0; qt < t.count(); ++qt) {
    for (int64_t qh = 0; qh < h.count(); ++qh) {
      for (int64_t qw = 0; qw < w.count(); ++qw) {
        for (int64_t kt = 0; kt < t.count(); ++kt) {
          if (t.id(qt, kt) < 0) continue;
          for (int64_t kh = 0; kh < h.count(); ++kh) {
            if (h.id(qh, kh) < 0) continue;
            for (int64_t kw = 0; kw < w.count(); ++kw) {
              std::array<int, 3> ids = {t.id(qt, kt), h.id(qh, kh), w.id(qw, kw)};
              if (ids[2] < 0) continue;
              p.cols.push_back(int32_t((kt * h.count() + kh) * w.count() + kw));
              p.mask_of.push_back(-1);
              if (t.mask(ids[0]).whole && h.mask(ids[1]).whole && w.mask(ids[2]).whole) continue;
              auto [it, fresh] = known.try_emplace(ids, int32_t(p.mask_count()));
              if (fresh) append_product(p, t.mask(ids[0]), h.mask(ids[1]), w.mask(ids[2]));
              p.mask_of.back() = it->second;
              masked = true;
            }
          }
        }
        p.row_offsets.push_back(int64_t(p.cols.size()));
      }
    }
  }
  if (!masked) p.mask_of.clear();
  p.planning_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return AttentionPlan::make(std::move(p));
}

Result<PlanPtr> plan_tile_window(const Grid& g, const WindowRule& rule, const Thw& asked) {
  ZT_RETURN_IF_ERROR(check(g, asked));
  auto began = std::chrono::steady_clock::now();
  Thw tile = cut(asked, g), n = {ceil_div(g.t, tile.t), ceil_div(g.h, tile.h), ceil_div(g.w, tile.w)};
  auto kept = [](int64_t length, int64_t window, int64_t stride, int64_t dilation) {
    int64_t sum = 0;
    for (int64_t i = 0; i < length; ++i) sum += window_keys(length, i, window, stride, dilation).count;
    return sum;
  };
  ZT_RETURN_IF_ERROR(check_kept(kept(n.t, rule.window.t, rule.stride.t, rule.dilation.t),
                                kept(n.h, rule.window.h, rule.stride.h, rule.dilation.h),
                                kept(n.w, rule.window.w, rule.stride.w, rule.dilation.w)));
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
              p.cols.push_back(int32_t(((kt.begin + a * kt.step) * n.h + kh.begin + b * kh.step) * n.w + kw.begin + c * kw.step));
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
