#include "kernels/cpu/attention/call.h"

#include "kernels/cpu/attention/linear.h"

namespace zt::cpu_attention {
namespace {

// The workspace holds two heads, so that one is packed while the tail of the other is attended; heads too large for that take
// turns in one place.
constexpr size_t kTwoHeads = size_t(512) << 20;
constexpr size_t kCacheBytes = size_t(1) << 20;

struct Take {
  size_t at = 0;
  size_t operator()(size_t bytes) { return std::exchange(at, at + size_t(round_up(int64_t(bytes), kAlign))); }
};

size_t carve(const Sizes& z, char* base, Scratch* s) {
  const Layout& l = z.lay;
  Take take;
  size_t stage = take(size_t(kTileRows * l.row) * 4), probs = take(size_t(kTileRows * kProbStride) * 4);
  size_t out = take(size_t(kTileRows * l.channels) * 4), sum = take(kTileRows * kLanes * 4),
         tile_sum = take(kTileRows * kLanes * 4);
  size_t ref = take(kTileRows * 4), tile_max = take(kTileRows * 4), scores = take(kScoreFloats * 4);
  size_t mass = take(size_t(z.mass_entries) * kTileRows * 4);
  bool linear = z.linear.state_floats > 0, scoped = z.linear.scoped;
  size_t left = take(linear ? size_t(kTileRows * l.features) * 4 : 0),
         right = take(linear ? size_t(kTileRows * l.channels) * 4 : 0);
  size_t matrix = take(scoped ? size_t(z.linear.matrix_dwords) * 4 : 0), sums = take(scoped ? size_t(l.features) * 4 : 0);
  size_t list = take(scoped ? size_t(z.linear.pieces) * 4 : 0);
  if (s) {
    auto dwords = [&](size_t a) { return reinterpret_cast<Dword*>(base + a); };
    auto floats = [&](size_t a) { return reinterpret_cast<float*>(base + a); };
    s->stage = dwords(stage), s->probs = dwords(probs), s->out = floats(out);
    s->sum = floats(sum), s->tile_sum = floats(tile_sum), s->ref = floats(ref), s->tile_max = floats(tile_max);
    s->scores = floats(scores), s->mass = floats(mass);
    s->left = floats(left), s->right = floats(right), s->matrix = dwords(matrix), s->sums = floats(sums);
    s->list = reinterpret_cast<int32_t*>(base + list);
  }
  return take.at;
}

void take_linear(Sizes& z, Take& take) {
  LinearSizes& l = z.linear;
  size_t heads = size_t(z.places), state = size_t(l.state_floats), matrix = size_t(l.matrix_dwords) * 4;
  size_t global = l.scoped ? 0 : heads, scoped = l.scoped ? heads : 0;
  l.states_at = take(heads * l.head_bytes());
  l.projection_at = take(state * 4);
  l.packed_projection_at = take(l.scoped ? matrix : 0);
  l.totals_at = take(scoped * state * 8);
  l.finite_at = take(scoped);
  l.matrices_at = take(global * matrix);
  l.sums_at = take(global * size_t(z.lay.features) * 4);
}

}  // namespace

Layout make_layout(const TileKernel& t, int64_t head_dim, int block_k) {
  Layout l;
  l.head_dim = head_dim;
  l.pairs = t.pairs;
  l.panel = t.panel;
  l.steps = round_up((head_dim + t.pairs - 1) / t.pairs, t.step_unit);
  l.row = round_up(l.steps, kLanes);
  l.channels = round_up(head_dim, kLanes);
  l.features = round_up(head_dim, kFeatureUnit);
  l.key_unit = t.key_unit;
  l.capacity = round_up(std::min(block_k, kChunkKeys), t.key_unit);
  return l;
}

LinearSizes linear_sizes(const Layout& lay, const AttentionPlan& plan) {
  LinearSizes z;
  if (!plan.has_linear()) return z;
  z.scoped = plan.parts().linear->scope != LinearScope::global;
  z.pieces = z.scoped ? plan.parts().k.count() : (plan.nk() + kPieceKeys - 1) / kPieceKeys;
  z.state_floats = state_floats(lay);
  z.matrix_dwords = matrix_dwords(lay);
  return z;
}

Sizes make_sizes(const TileKernel& t, const AttentionPlan& plan, const AttentionProblem& p, int threads) {
  const PlanParts& parts = plan.parts();
  Sizes z;
  z.lay = make_layout(t, p.head_dim, parts.k.block);
  z.chunks_per_block = (parts.k.block + kChunkKeys - 1) / kChunkKeys;
  z.slots = parts.k.count() * z.chunks_per_block;
  z.linear = linear_sizes(z.lay, plan);
  size_t head_bytes = size_t(z.slots * (z.lay.k_dwords() + z.lay.v_dwords())) * 4;
  z.by_block = !plan.is_dense() || p.block_mass || plan.has_linear();
  // Small tiles balance better, and cost little while a core's own cache holds the head. They must not cut a query block
  // elsewhere than a list would.
  bool small = plan.is_dense() && head_bytes <= kCacheBytes && (!z.by_block || parts.q.block <= kTileRows / 2);
  z.tile_rows = small ? kTileRows / 2 : kTileRows;
  z.tiles_per_block = (parts.q.block + z.tile_rows - 1) / z.tile_rows;
  z.blocks_per_tile = plan.is_dense() && !z.linear.scoped ? std::max<int64_t>(1, z.tile_rows / parts.q.block) : 1;
  z.tiles = !z.by_block ? (plan.nq() + z.tile_rows - 1) / z.tile_rows
                        : (parts.q.count() + z.blocks_per_tile - 1) / z.blocks_per_tile * z.tiles_per_block;
  z.heads = p.batch * p.heads;
  head_bytes += z.linear.head_bytes();
  z.places = std::max<int64_t>(1, std::min<int64_t>(z.heads, 2 * head_bytes <= kTwoHeads ? 2 : 1));
  if (p.block_mass) z.mass_entries = plan.is_dense() ? parts.k.count() : plan.stats().max_row;
  Take take;
  z.k_at = take(size_t(z.places * z.slots * z.lay.k_dwords()) * 4);
  z.v_at = take(size_t(z.places * z.slots * z.lay.v_dwords()) * 4);
  z.marks_at = take(plan.is_dense() ? 0 : size_t(parts.heads * parts.k.count()));
  z.order_at = take(size_t(z.places * z.tiles) * sizeof(Unit));
  take_linear(z, take);
  z.scratch_bytes = carve(z, nullptr, nullptr);
  z.scratch_at = take(z.scratch_bytes * size_t(std::max(1, threads)));
  z.bytes = take.at;
  return z;
}

Rows rows_of(const TensorView& t, int64_t batch, int64_t head, int64_t slot, const int32_t* order) {
  const int32_t* tokens = order ? order + slot : nullptr;
  if (!t) return {nullptr, 0, tokens};
  int64_t at = batch * t.stride(0) + head * t.stride(1) + (order ? 0 : slot * t.stride(2));
  return {static_cast<char*>(t.data) + at * int64_t(dtype_size(t.dtype)), t.stride(2), tokens};
}

const int32_t* order_of(const TokenOrder& o, int64_t head, int64_t tokens) {
  int set = o.set_of(head);
  return set < 0 ? nullptr : o.order.data() + set * tokens;
}

Scratch Call::scratch() const {
  Scratch s;
  carve(z, base + z.scratch_at + z.scratch_bytes * size_t(thread_index()), &s);
  return s;
}

Walk Call::walk(int64_t place) const {
  Walk w;
  w.k = packed_k(place, 0);
  // Without values the keys stand in for them: they are only fetched ahead.
  w.v = a.v ? packed_v(place, 0) : w.k;
  w.chunks_per_block = z.chunks_per_block;
  w.valid = parts().k.valid.data();
  w.starts = plan.k_starts().data();
  w.bias = parts().k_bias.empty() ? nullptr : parts().k_bias.data();
  w.count = parts().k.count();
  return w;
}

}  // namespace zt::cpu_attention
