#include "kernels/cuda/attention/tile_lists.h"

#include <algorithm>
#include <cmath>

namespace zt::cuda_attention {
namespace {

// Appends the key tiles of a list of blocks.
class Walker {
 public:
  Walker(const AttentionPlan& plan, int keys, float scale, ListsFor use, TileLists& to)
      : plan_(plan), parts_(plan.parts()), keys_(keys), scale_(scale), use_(use), to_(to) {}

  void add(int32_t block, int32_t mask) {
    auto first = int32_t(plan_.k_starts()[size_t(block)]), count = parts_.k.valid[size_t(block)];
    float bias = parts_.k_bias.empty() ? 0.f : parts_.k_bias[size_t(block)];
    bool joins = use_ == ListsFor::forward && mask < 0 && run_ > 0 && first == first_ + run_ && bias == bias_;
    if (joins) {
      run_ += count;
      return;
    }
    flush();
    if (mask < 0) {
      first_ = first, run_ = count, bias_ = bias, block_ = block;
    } else {
      cut(first, count, int32_t(mask * parts_.mask_size()), bias, block);
    }
  }
  void flush() {
    cut(first_, run_, -1, bias_, block_);
    run_ = 0;
  }

 private:
  void cut(int32_t first, int32_t count, int32_t mask_word, float bias, int32_t block) {
    // Far beyond what changes a probability, and no overflow when it is added to a score.
    float unit = std::clamp(bias / scale_, -1e37f, 1e37f);
    for (int32_t at = 0; at < count; at += keys_) {
      int32_t mask = mask_word < 0 ? -1 : (mask_word + at / 64) * 2 + at % 64 / 32;
      to_.key_tiles.push_back({first + at, std::min(keys_, count - at), mask, unit});
      if (use_ == ListsFor::mass) to_.k_block.push_back(block);
    }
  }

  const AttentionPlan& plan_;
  const PlanParts& parts_;
  const int32_t keys_;
  const float scale_;
  const ListsFor use_;
  TileLists& to_;
  int32_t first_ = 0, run_ = 0, block_ = 0;
  float bias_ = 0;
};

struct Unit {
  QueryTile tile;
  int32_t mask_row, block;
  int64_t keys;
};

void add_units(std::vector<Unit> units, bool masks, ListsFor use, TileLists& t) {
  std::stable_sort(units.begin(), units.end(), [](const Unit& a, const Unit& b) { return a.keys > b.keys; });
  for (const Unit& u : units) {
    t.query_tiles.push_back(u.tile);
    if (masks) t.mask_row.push_back(u.mask_row);
    if (use == ListsFor::mass) t.q_block.push_back(u.block);
  }
}

// Query tiles of block b, which reads key tiles [begin, end).
void cut_rows(const AttentionPlan& plan, int64_t b, const TileShape& shape, ListsFor use, int32_t begin, int32_t end, int64_t keys,
              std::vector<Unit>& units) {
  auto first = int32_t(plan.q_starts()[size_t(b)]), valid = plan.parts().q.valid[size_t(b)];
  int32_t step = use == ListsFor::mass ? valid : shape.rows;
  for (int32_t at = 0; at < valid; at += step) {
    units.push_back({{first + at, std::min(step, valid - at), begin, end}, at, int32_t(b), keys});
  }
}

void dense_tiles(const AttentionPlan& plan, const TileShape& shape, float scale, ListsFor use, TileLists& t) {
  Walker walk(plan, shape.keys, scale, use, t);
  for (int32_t b = 0; b < plan.parts().k.count(); ++b) walk.add(b, -1);
  walk.flush();
  auto end = int32_t(t.key_tiles.size());
  std::vector<Unit> units;
  if (use == ListsFor::mass) {
    for (int64_t b = 0; b < plan.parts().q.count(); ++b) cut_rows(plan, b, shape, use, 0, end, plan.nk(), units);
  } else {
    // All rows read the same keys: tiles need not end where blocks do.
    for (int64_t first = 0; first < plan.nq(); first += shape.rows) {
      auto rows = int32_t(std::min<int64_t>(shape.rows, plan.nq() - first));
      units.push_back({{int32_t(first), rows, 0, end}, 0, 0, plan.nk()});
    }
  }
  add_units(std::move(units), false, use, t);
}

void set_tiles(const AttentionPlan& plan, int64_t set, const TileShape& shape, float scale, ListsFor use, TileLists& t) {
  const PlanParts& parts = plan.parts();
  Walker walk(plan, shape.keys, scale, use, t);
  std::vector<Unit> units;
  for (int64_t b = 0; b < parts.q.count(); ++b) {
    AttentionPlan::Row row = plan.row(set, b);
    auto begin = int32_t(t.key_tiles.size());
    int64_t keys = 0;
    for (size_t i = 0; i < row.cols.size(); ++i) {
      walk.add(row.cols[i], row.masks.empty() ? -1 : row.masks[i]);
      keys += parts.k.valid[size_t(row.cols[i])];
    }
    walk.flush();
    cut_rows(plan, b, shape, use, begin, int32_t(t.key_tiles.size()), keys, units);
  }
  add_units(std::move(units), plan.has_masks(), use, t);
}

}  // namespace

TileLists make_tile_lists(const AttentionPlan& plan, const TileShape& shape, int64_t heads, float scale, ListsFor use) {
  const PlanParts& parts = plan.parts();
  ZT_CHECK(scale > 0 && shape.keys <= kStepsMax);
  TileLists t;
  t.extras = plan.has_masks() || !parts.k_bias.empty();
  if (plan.has_masks()) {
    t.mask_words = parts.mask_words;
    t.mask_row_words = int(parts.mask_row_words()), t.mask_rows = parts.q.block;
  }
  if (plan.is_dense()) {
    dense_tiles(plan, shape, scale, use, t);
    t.set_of.assign(size_t(heads), 0);
    t.tiles_per_set = int64_t(t.query_tiles.size());
  } else {
    for (int64_t set = 0; set < parts.heads; ++set) set_tiles(plan, set, shape, scale, use, t);
    t.tiles_per_set = int64_t(t.query_tiles.size()) / parts.heads;
    for (int64_t h = 0; h < heads; ++h) t.set_of.push_back(int32_t(plan.set_of(h)));
  }
  for (int32_t set : t.set_of) {
    for (int64_t i = 0; i < t.tiles_per_set; ++i) {
      const QueryTile& q = t.query_tiles[size_t(set * t.tiles_per_set + i)];
      t.steps += q.end - q.begin;
    }
  }
  return t;
}

uint32_t shared_limit(int arch) {
  uint32_t kib = arch == 80 || arch == 87 ? 163 : arch == 90 || arch == 100 || arch == 103 ? 227 : 99;
  return kib * 1024;
}

TileShape tile_size(int arch, int head_dim, const AttentionPlan& plan) {
  ZT_CHECK(head_dim == 64 || head_dim == 128);
  bool small = !plan.is_dense() && plan.parts().q.block <= 64;
  if (small) return head_dim == 64 ? kSmall64 : kSmall128;
  bool wide = arch == 80 || arch == 90;
  if (head_dim == 64) return wide ? kWide64 : kTall64;
  return wide ? kWide128 : kTall128;
}

}  // namespace zt::cuda_attention
