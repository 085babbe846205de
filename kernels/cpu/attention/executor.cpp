// The executors: workspace, order of work and threads around the tile kernels of tile.h.
//
// Heads are taken in groups whose packed keys and values fit kGroupBytes. Within a group all chunks that some list
// names are packed, then all query tiles run, longest list first. Groups, chunks and tiles depend on shapes only.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "kernels/api/checks.h"
#include "kernels/api/op_table.h"
#include "kernels/core/parallel.h"
#include "kernels/cpu/attention/tile.h"
#include "kernels/cpu/cpu.h"

namespace zt {
namespace cpu_attention {

int next_pass(Walk& w, const Layout& lay, Chunk* chunks) {
  constexpr float kLog2e = 1.44269504f, kMost = 1e38f;  // the end of the range would become infinite in base 2
  int n = 0, at = 0;
  while (w.block < w.count) {
    int64_t block = w.cols ? w.cols[w.block] : w.block;
    int64_t left = w.valid[block] - w.part * kChunkKeys;
    if (left <= 0) {
      ++w.block, w.part = 0;
      continue;
    }
    int keys = int(std::min<int64_t>(left, kChunkKeys));
    int width = int(round_up(keys, lay.pairs * kLanes) / lay.pairs);
    if (at + width > kTileDwords) break;
    int64_t slot = block * w.chunks_per_block + w.part;
    // A word of a mask row covers the keys of a chunk.
    int32_t m = w.masks ? w.masks[w.block] : -1;
    const uint64_t* mask = m < 0 ? nullptr : w.mask_words + m * w.mask_size + w.part;
    chunks[n++] = {w.k + slot * lay.k_dwords(),
                   w.v + slot * lay.v_dwords(),
                   keys,
                   at,
                   w.bias ? std::clamp(w.bias[block] * kLog2e, -kMost, kMost) : 0.f,
                   mask,
                   w.mask_row};
    at += width;
    ++w.part;
  }
  return n;
}

namespace {

constexpr size_t kGroupBytes = size_t(32) << 20;
constexpr size_t kCacheBytes = size_t(1) << 20;
constexpr size_t kAlign = 64;

Layout make_layout(const TileKernel& t, int64_t head_dim, int block_k) {
  Layout l;
  l.head_dim = head_dim;
  l.pairs = t.pairs;
  l.panel = t.panel;
  l.steps = round_up((head_dim + t.pairs - 1) / t.pairs, t.step_unit);
  l.row = round_up(l.steps, kLanes);
  l.channels = round_up(head_dim, kLanes);
  l.key_unit = t.key_unit;
  l.capacity = round_up(std::min(block_k, kChunkKeys), t.key_unit);
  return l;
}

// Everything about sizes that does not depend on data, and where each part of the workspace lies.
struct Sizes {
  Layout lay;
  int64_t chunks_per_block, slots;            // packed chunks of a head
  int64_t tile_rows, tiles_per_block, tiles;  // query tiles of a head
  int64_t heads, group;                       // batch * heads, and how many are packed at a time
  size_t k_at, v_at, marks_at, order_at, scratch_at, scratch_bytes, bytes;
};

struct Take {
  size_t at = 0;
  size_t operator()(size_t bytes) { return std::exchange(at, at + size_t(round_up(int64_t(bytes), kAlign))); }
};

size_t carve(const Layout& l, char* base, Scratch* s) {
  Take take;
  size_t stage = take(size_t(kTileRows * l.row) * 4), probs = take(size_t(kTileRows * kProbStride) * 4);
  size_t out = take(size_t(kTileRows * l.channels) * 4), sum = take(kTileRows * kLanes * 4),
         tile_sum = take(kTileRows * kLanes * 4);
  size_t ref = take(kTileRows * 4), tile_max = take(kTileRows * 4), scores = take(kScoreFloats * 4);
  if (s) {
    auto dwords = [&](size_t a) { return reinterpret_cast<Dword*>(base + a); };
    auto floats = [&](size_t a) { return reinterpret_cast<float*>(base + a); };
    *s = {dwords(stage),    dwords(probs), floats(out),      floats(sum),
          floats(tile_sum), floats(ref),   floats(tile_max), floats(scores)};
  }
  return take.at;
}

struct Unit {
  int64_t keys;  // of the list: sorted by it, longest first
  int32_t head, tile;
};

Sizes make_sizes(const TileKernel& t, const AttentionPlan& plan, const AttentionProblem& p, int threads) {
  const PlanParts& parts = plan.parts();
  Sizes z{};
  z.lay = make_layout(t, p.head_dim, parts.k.block);
  z.chunks_per_block = (parts.k.block + kChunkKeys - 1) / kChunkKeys;
  z.slots = parts.k.count() * z.chunks_per_block;
  size_t head_bytes = size_t(z.slots * (z.lay.k_dwords() + z.lay.v_dwords())) * 4;
  // A dense plan reads the same keys whatever the query block, so its tiles are cut from all queries: small ones, which
  // balance better, while a core's own cache holds the head.
  z.tile_rows = plan.is_dense() && head_bytes <= kCacheBytes ? kTileRows / 2 : kTileRows;
  z.tiles_per_block = (parts.q.block + z.tile_rows - 1) / z.tile_rows;
  z.tiles = plan.is_dense() ? (plan.nq() + z.tile_rows - 1) / z.tile_rows : parts.q.count() * z.tiles_per_block;
  z.heads = p.batch * p.heads;
  z.group = std::max<int64_t>(1, std::min(z.heads, int64_t(kGroupBytes / std::max<size_t>(head_bytes, 1))));
  Take take;
  z.k_at = take(size_t(z.group * z.slots * z.lay.k_dwords()) * 4);
  z.v_at = take(size_t(z.group * z.slots * z.lay.v_dwords()) * 4);
  z.marks_at = take(plan.is_dense() ? 0 : size_t(parts.heads * parts.k.count()));
  z.order_at = take(size_t(z.group * z.tiles) * sizeof(Unit));
  z.scratch_bytes = carve(z.lay, nullptr, nullptr);
  z.scratch_at = take(z.scratch_bytes * size_t(std::max(1, threads)));
  z.bytes = take.at;
  return z;
}

// Rows from a slot on; `order` names the token of each slot, null = in place.
Rows rows_of(const TensorView& t, int64_t batch, int64_t head, int64_t slot, const int32_t* order) {
  int64_t at = batch * t.stride(0) + head * t.stride(1) + (order ? 0 : slot * t.stride(2));
  return {static_cast<char*>(t.data) + at * int64_t(dtype_size(t.dtype)), t.stride(2), order ? order + slot : nullptr};
}

const int32_t* order_of(const TokenOrder& o, int64_t head, int64_t tokens) {
  int set = o.set_of(head);
  return set < 0 ? nullptr : o.order.data() + set * tokens;
}

class Run {
 public:
  Run(const TileKernel& t, const AttentionPlan& plan, const AttentionProblem& p, const AttentionArgs& a, char* workspace,
      int threads)
      : t_(t),
        plan_(plan),
        parts_(plan.parts()),
        p_(p),
        a_(a),
        z_(make_sizes(t, plan, p, threads)),
        base_(workspace),
        threads_(threads) {}

  void all() {
    mark();
    for (int64_t first = 0; first < z_.heads; first += z_.group) {
      first_ = first;
      int64_t n = std::min(z_.group, z_.heads - first);
      // Eight chunks a task: a chunk alone takes less than a microsecond.
      parallel_ranges(threads_, n * z_.slots, 8, [&](int64_t b, int64_t e) {
        for (; b < e; ++b) pack(b / z_.slots, b % z_.slots);
      });
      int64_t units = order(n);
      parallel_for(threads_, units, [&](int64_t i) { attend(order_at()[i]); });
    }
  }

 private:
  const TileKernel& t_;
  const AttentionPlan& plan_;
  const PlanParts& parts_;
  const AttentionProblem& p_;
  const AttentionArgs& a_;
  const Sizes z_;
  char* const base_;
  const int threads_;
  int64_t first_ = 0;  // first head of the group

  Unit* order_at() const { return reinterpret_cast<Unit*>(base_ + z_.order_at); }
  Dword* packed_k(int64_t in_group, int64_t slot) const {
    return reinterpret_cast<Dword*>(base_ + z_.k_at) + (in_group * z_.slots + slot) * z_.lay.k_dwords();
  }
  Dword* packed_v(int64_t in_group, int64_t slot) const {
    return reinterpret_cast<Dword*>(base_ + z_.v_at) + (in_group * z_.slots + slot) * z_.lay.v_dwords();
  }
  Scratch scratch() const {
    Scratch s;
    carve(z_.lay, base_ + z_.scratch_at + z_.scratch_bytes * size_t(thread_index()), &s);
    return s;
  }
  int64_t list_set(int64_t head) const { return plan_.set_of(head % p_.heads); }
  const int64_t* row(int64_t set, int64_t block) const { return parts_.row_offsets.data() + set * parts_.q.count() + block; }

  // Key blocks that no list names are not packed.
  void mark() const {
    if (plan_.is_dense()) return;
    char* marks = base_ + z_.marks_at;
    std::memset(marks, 0, size_t(parts_.heads * parts_.k.count()));
    for (int64_t set = 0; set < parts_.heads; ++set) {
      for (int64_t i = *row(set, 0); i < *row(set, parts_.q.count()); ++i)
        marks[set * parts_.k.count() + parts_.cols[size_t(i)]] = 1;
    }
  }

  void pack(int64_t in_group, int64_t slot) const {
    int64_t block = slot / z_.chunks_per_block, part = slot % z_.chunks_per_block, head = first_ + in_group;
    int64_t keys = std::min<int64_t>(parts_.k.valid[size_t(block)] - part * kChunkKeys, kChunkKeys);
    if (keys <= 0) return;
    if (!plan_.is_dense() && !base_[z_.marks_at + size_t(list_set(head) * parts_.k.count() + block)]) return;
    int64_t first = plan_.k_starts()[size_t(block)] + part * kChunkKeys, b = head / p_.heads, h = head % p_.heads;
    const int32_t* order = order_of(parts_.k_order, h, plan_.nk());
    t_.pack(z_.lay,
            {rows_of(a_.k, b, h, first, order), rows_of(a_.v, b, h, first, order), int(keys), p_.dtype, packed_k(in_group, slot),
             packed_v(in_group, slot)},
            scratch());
  }

  // First slot and count of a tile; no rows for the parts of a query block beyond its valid tokens.
  std::pair<int64_t, int64_t> slots_of(int64_t tile) const {
    if (plan_.is_dense()) return {tile * z_.tile_rows, std::min(plan_.nq() - tile * z_.tile_rows, z_.tile_rows)};
    int64_t block = tile / z_.tiles_per_block, skip = tile % z_.tiles_per_block * z_.tile_rows;
    return {plan_.q_starts()[size_t(block)] + skip, std::min(parts_.q.valid[size_t(block)] - skip, z_.tile_rows)};
  }

  int64_t order(int64_t heads) const {
    Unit* units = order_at();
    int64_t n = 0;
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t tile = 0; tile < z_.tiles; ++tile) {
        if (slots_of(tile).second <= 0) continue;
        int64_t keys = 0;
        if (!plan_.is_dense()) {
          const int64_t* r = row(list_set(first_ + h), tile / z_.tiles_per_block);
          for (int64_t i = r[0]; i < r[1]; ++i) keys += parts_.k.valid[size_t(parts_.cols[size_t(i)])];
        }
        units[n++] = {keys, int32_t(h), int32_t(tile)};
      }
    }
    if (plan_.is_dense()) return n;
    std::sort(units, units + n, [](const Unit& a, const Unit& b) {
      return a.keys != b.keys ? a.keys > b.keys : a.head != b.head ? a.head < b.head : a.tile < b.tile;
    });
    return n;
  }

  void attend(const Unit& u) const {
    int64_t head = first_ + u.head, b = head / p_.heads, h = head % p_.heads;
    auto [first, rows] = slots_of(u.tile);
    const int32_t* order = order_of(parts_.q_order, h, plan_.nq());
    TileJob job;
    job.q = rows_of(a_.q, b, h, first, order);
    job.out = rows_of(a_.out, b, h, first, order);
    if (a_.lse) job.lse = static_cast<float*>(a_.lse.data) + head * plan_.nq() + (order ? 0 : first);
    job.rows = int(rows);
    job.dtype = p_.dtype;
    float scale = p_.scale != 0 ? p_.scale : float(1 / std::sqrt(double(p_.head_dim)));
    job.log2_scale = scale * 1.44269504f;
    Walk& w = job.walk;
    w.k = packed_k(u.head, 0);
    w.v = packed_v(u.head, 0);
    w.chunks_per_block = z_.chunks_per_block;
    w.valid = parts_.k.valid.data();
    w.bias = parts_.k_bias.empty() ? nullptr : parts_.k_bias.data();
    w.count = parts_.k.count();
    if (!plan_.is_dense()) {
      const int64_t* r = row(list_set(head), u.tile / z_.tiles_per_block);
      w.cols = parts_.cols.data() + r[0];
      w.count = r[1] - r[0];
      if (plan_.has_masks()) {
        w.masks = parts_.mask_of.data() + r[0];
        w.mask_size = parts_.mask_size(), w.mask_row = parts_.mask_row_words();
        w.mask_words = parts_.mask_words.data() + u.tile % z_.tiles_per_block * z_.tile_rows * w.mask_row;
      }
    }
    t_.attend(z_.lay, job, scratch());
  }
};

class TileExecutor final : public AttentionExecutor {
 public:
  explicit TileExecutor(const TileKernel& t) : t_(t) {}
  std::string_view name() const override { return t_.name; }
  std::string why_not(const AttentionPlan& plan, const AttentionProblem& p, const ExecContext& ctx) const override {
    if (ctx.isa < t_.isa)
      return fmt::format("needs {}, this machine or ZOETROPE_MAX_ISA allows {}", isa_name(t_.isa), isa_name(ctx.isa));
    if (p.dtype != DType::bf16 && !(p.dtype == DType::f32 && t_.takes_f32)) {
      return fmt::format("takes {}, not {}", t_.takes_f32 ? "f32 and bf16" : "bf16", dtype_name(p.dtype));
    }
    if (plan.model_heads() != 0 && plan.model_heads() != p.heads) {
      return fmt::format("the plan is made for {} heads, the problem has {}", plan.model_heads(), p.heads);
    }
    if (plan.has_linear()) return "has no linear part";
    if (p.block_mass) return "does not sum block mass";
    return {};
  }
  size_t workspace_bytes(const AttentionPlan& plan, const AttentionProblem& p, const ExecContext& ctx) const override {
    return make_sizes(t_, plan, p, ctx.threads).bytes;
  }
  void run(const AttentionPlan& plan, const AttentionProblem& p, const AttentionArgs& a, void* workspace,
           const ExecContext& ctx) const override {
    check_attention(plan, p, a);
    ZT_CHECK(reinterpret_cast<uintptr_t>(workspace) % kAlign == 0);
    Run(t_, plan, p, a, static_cast<char*>(workspace), ctx.threads).all();
  }

 private:
  const TileKernel& t_;
};

}  // namespace

std::shared_ptr<const AttentionExecutor> make_executor(const TileKernel& kernel) {
  return std::make_shared<TileExecutor>(kernel);
}

}  // namespace cpu_attention

void add_cpu_attention(OpTable& table) {
  using namespace cpu_attention;
  // The tile unit is not yet measured on hardware; it is offered only where there is one.
  if (detect_isa() >= Isa::amx) table.attention.push_back(make_executor(kAmx));
  for (const TileKernel* t : {&kAvx512Bf16, &kAvx512, &kAvx2}) table.attention.push_back(make_executor(*t));
}

}  // namespace zt
