#include "kernels/cuda/attention/linear_call.h"

#include <algorithm>

namespace zt::cuda_attention {
namespace {

constexpr int32_t kPieceKeys = 512, kTileRows = 64;
constexpr size_t kAlign = 256;

size_t round_up(size_t n) { return (n + kAlign - 1) / kAlign * kAlign; }

// Outside of a dense plan there is nothing, which is what empty lists name.
bool nothing_in_scope(const AttentionPlan& plan) { return plan.parts().linear->scope == LinearScope::complement && plan.is_dense(); }

}  // namespace

LinearSizes linear_sizes(const AttentionPlan& plan) {
  if (!plan.has_linear()) return {};
  const PlanParts& parts = plan.parts();
  const LinearPart& l = *parts.linear;
  bool global = l.scope == LinearScope::global;
  LinearSizes s;
  s.pieces = global ? (plan.nk() + kPieceKeys - 1) / kPieceKeys : parts.k.count();
  for (int32_t valid : parts.q.valid) s.tiles += (valid + kTileRows - 1) / kTileRows;
  s.q_blocks = parts.q.count();
  s.scope = int(nothing_in_scope(plan) ? LinearScope::listed : l.scope), s.feature = int(l.feature);
  s.per_block = !global, s.projection = l.projection, s.lerp = l.blend == Blend::lerp;
  return s;
}

LinearTables make_linear_tables(const AttentionPlan& plan, int64_t heads) {
  const PlanParts& parts = plan.parts();
  const LinearPart& l = *parts.linear;
  LinearTables t;
  bool global = l.scope == LinearScope::global;
  if (global) {
    for (int64_t at = 0; at < plan.nk(); at += kPieceKeys) {
      t.pieces.push_back({int32_t(at), int32_t(std::min<int64_t>(kPieceKeys, plan.nk() - at)), -1, 0});
    }
  } else {
    for (int64_t b = 0; b < parts.k.count(); ++b) t.pieces.push_back({int32_t(plan.k_starts()[size_t(b)]), parts.k.valid[size_t(b)], -1, 0});
  }
  for (int64_t b = 0; b < parts.q.count(); ++b) {
    int32_t first = int32_t(plan.q_starts()[size_t(b)]), valid = parts.q.valid[size_t(b)];
    for (int32_t at = 0; at < valid; at += kTileRows) t.tiles.push_back({first + at, std::min(kTileRows, valid - at), int32_t(b), 0});
  }
  if (nothing_in_scope(plan)) {
    t.offsets.assign(size_t(parts.heads * parts.q.count() + 1), 0);
  } else if (!global) {
    bool listed = l.scope == LinearScope::listed;
    for (int64_t o : listed ? l.row_offsets : parts.row_offsets) t.offsets.push_back(int32_t(o));
    t.cols = listed ? l.cols : parts.cols;
  }
  for (int64_t h = 0; h < heads; ++h) t.set_of.push_back(int32_t(plan.set_of(h)));
  t.alpha = l.alpha;
  t.sizes = linear_sizes(plan);
  return t;
}

LinearSpace linear_space(const LinearSizes& s, int head_dim, int64_t heads) {
  size_t d = size_t(head_dim), state = (d * d + d) * 4, blocks = s.per_block ? size_t(s.q_blocks) : 1;
  size_t head = size_t(s.pieces) * state + 2 * state + blocks * (d * d * 2 + d * 4);
  LinearSpace w;
  w.heads = std::clamp<int64_t>(int64_t(kLinearBytes / head), 1, std::max<int64_t>(1, heads));
  size_t n = size_t(w.heads);
  w.totals = round_up(n * size_t(s.pieces) * state);
  w.matrices = w.totals + round_up(n * state * 2);
  w.sums = w.matrices + round_up(n * blocks * d * d * 2);
  w.bytes = w.sums + round_up(n * blocks * d * 4);
  return w;
}

size_t linear_workspace(const LinearSizes& s, int head_dim, int64_t heads) {
  return s.pieces > 0 ? linear_space(s, head_dim, heads).bytes : 0;
}

}  // namespace zt::cuda_attention
