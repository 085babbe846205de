// The executors: order of work and threads around the tile kernels of tile.h.
//
// Of each head all chunks that some list names are packed, then its query tiles run, longest list first. Chunks and tiles
// depend on shapes only.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "kernels/api/checks.h"
#include "kernels/api/op_table.h"
#include "kernels/cpu/attention/linear_call.h"
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
                   w.mask_row,
                   w.block,
                   w.starts[block] + w.part * kChunkKeys};
    at += width;
    ++w.part;
  }
  return n;
}

namespace {

class Run {
 public:
  explicit Run(const Call& call)
      : c_(call), t_(call.t), plan_(call.plan), parts_(call.parts()), p_(call.p), a_(call.a), z_(call.z), linear_(call),
        units_(count_units()),
        pieces_(linear_.wanted() ? z_.linear.pieces : (z_.slots + kSlotsPerPiece - 1) / kSlotsPerPiece),
        progress_(std::make_unique<Progress[]>(size_t(z_.heads))) {}

  // Head by head: pack, sum for the linear part, attend. A head is packed piece by piece by the threads that attend the one
  // before it, right after a tile: what they fetched meanwhile lies in their own caches. Heads take turns in the places of
  // the workspace.
  void all() {
    if (a_.block_mass) std::fill_n(a_.block_mass.as<float>(), a_.block_mass.count(), 0.f);
    if (units_ == 0 || z_.heads == 0) return;
    mark();
    if (linear_.wanted()) linear_.prepare();
    std::vector<int64_t> tasks;
    std::vector<Work> work;
    auto add = [&](Kind kind, int64_t head, int64_t count) {
      tasks.push_back(count);
      work.push_back({kind, head});
    };
    add(Kind::pack, 0, pieces_ + 1);
    for (int64_t head = 0; head < z_.heads; ++head) {
      if (linear_.wanted()) add(Kind::join, head, linear_.join_tasks());
      if (linear_.wanted() && linear_.has_close()) add(Kind::close, head, 1);
      add(Kind::attend, head, units_);
    }
    parallel_stages(c_.threads, tasks, [&](size_t stage, int64_t i) { run(work[stage], i); });
  }

 private:
  enum class Kind : uint8_t { pack, join, close, attend };
  struct Work {
    Kind kind;
    int64_t head;
  };
  struct Progress {
    std::atomic<int64_t> packed{0}, summed{0}, attended{0};  // tasks done
  };
  // A chunk alone takes less than a microsecond.
  static constexpr int64_t kSlotsPerPiece = 8;

  const Call& c_;
  const TileKernel& t_;
  const AttentionPlan& plan_;
  const PlanParts& parts_;
  const AttentionProblem& p_;
  const AttentionArgs& a_;
  const Sizes& z_;
  const LinearCall linear_;
  const int64_t units_, pieces_;  // of a head
  const std::unique_ptr<Progress[]> progress_;

  int64_t place(int64_t head) const { return head % z_.places; }
  Unit* units_at(int64_t head) const { return c_.at<Unit>(z_.order_at) + place(head) * z_.tiles; }
  Progress& progress(int64_t head) const { return progress_[size_t(head)]; }
  int64_t join_tasks() const { return !linear_.wanted() ? 0 : linear_.join_tasks() + linear_.has_close(); }

  void run(const Work& w, int64_t i) const {
    Progress& p = progress(w.head);
    if (w.kind == Kind::pack) return pack_task(w.head, i);
    wait_until([&] { return p.packed == pieces_ + 1; });
    if (w.kind == Kind::join) {
      linear_.join(place(w.head), i);
      ++p.summed;
      return;
    }
    if (w.kind == Kind::close) {
      wait_until([&] { return p.summed == linear_.join_tasks(); });
      linear_.close(place(w.head));
      ++p.summed;
      return;
    }
    wait_until([&] { return p.summed == join_tasks(); });
    attend(w.head, i);
    ++p.attended;
    if (w.head + 1 < z_.heads) pack_next(w.head + 1, i);
  }

  // Pieces of the next head that go with a unit: all within the first three quarters of the units, so that nobody waits for
  // them.
  RowRange pieces_of(int64_t unit) const {
    int64_t last = std::max<int64_t>(1, units_ * 3 / 4);
    auto first = [&](int64_t u) { return (std::min(u, last) * pieces_ + last - 1) / last; };
    return {first(unit), first(unit + 1)};
  }
  void pack_next(int64_t head, int64_t unit) const {
    if (head >= z_.places) wait_until([&] { return progress(head - z_.places).attended == units_; });
    if (unit == 0) pack_task(head, 0);
    RowRange pieces = pieces_of(unit);
    for (int64_t piece = pieces.begin; piece < pieces.end; ++piece) pack_task(head, piece + 1);
  }

  RowRange slots_of_piece(int64_t piece) const {
    if (!linear_.wanted()) return {piece * kSlotsPerPiece, std::min(z_.slots, (piece + 1) * kSlotsPerPiece)};
    RowRange blocks = linear_.blocks(piece);
    return {blocks.begin * z_.chunks_per_block, blocks.end * z_.chunks_per_block};
  }

  // Task 0 puts the tiles in order.
  void pack_task(int64_t head, int64_t task) const {
    if (task == 0) {
      order(head);
    } else {
      RowRange slots = slots_of_piece(task - 1);
      for (int64_t slot = slots.begin; slot < slots.end; ++slot) pack(head, slot);
      // While the values are in the cache.
      if (linear_.wanted()) linear_.state(place(head), head, task - 1);
    }
    ++progress(head).packed;
  }

  // Key blocks that no list names are not packed, unless the linear part may read their values.
  void mark() const {
    if (plan_.is_dense()) return;
    char* marks = c_.at<char>(z_.marks_at);
    std::memset(marks, linear_.wanted(), size_t(parts_.heads * parts_.k.count()));
    for (int64_t set = 0; set < parts_.heads; ++set) {
      const int64_t* rows = parts_.row_offsets.data() + set * parts_.q.count();
      for (int64_t i = rows[0]; i < rows[parts_.q.count()]; ++i) marks[set * parts_.k.count() + parts_.cols[size_t(i)]] = 1;
    }
  }

  Rows key_rows(const TensorView& t, int64_t head, int64_t first) const {
    int64_t h = head % p_.heads;
    return rows_of(t, head / p_.heads, h, first, order_of(parts_.k_order, h, plan_.nk()));
  }
  Rows query_rows(const TensorView& t, int64_t head, int64_t first) const {
    int64_t h = head % p_.heads;
    return rows_of(t, head / p_.heads, h, first, order_of(parts_.q_order, h, plan_.nq()));
  }

  void pack(int64_t head, int64_t slot) const {
    int64_t block = slot / z_.chunks_per_block, part = slot % z_.chunks_per_block;
    int64_t keys = std::min<int64_t>(parts_.k.valid[size_t(block)] - part * kChunkKeys, kChunkKeys);
    if (keys <= 0) return;
    if (!plan_.is_dense() && !c_.at<char>(z_.marks_at)[c_.list_set(head) * parts_.k.count() + block]) return;
    int64_t first = plan_.k_starts()[size_t(block)] + part * kChunkKeys;
    t_.pack(z_.lay,
            {key_rows(a_.k, head, first), key_rows(a_.v, head, first), int(keys), p_.dtype, c_.packed_k(place(head), slot),
             c_.packed_v(place(head), slot)},
            c_.scratch());
  }

  // The tile that this thread is likely to take next, and what it will pack after this one.
  void look_ahead(int64_t head, int64_t unit, TileJob& job) const {
    job.element_bytes = int64_t(dtype_size(p_.dtype)), job.row_bytes = job.element_bytes * p_.head_dim;
    if (int64_t next = unit + c_.threads; next < units_) {
      auto [first, rows] = slots_of(units_at(head)[next].tile);
      job.ahead[0] = {query_rows(a_.q, head, first), rows};
      if (a_.out) job.ahead[1] = {query_rows(a_.out, head, first), rows};
    }
    RowRange pieces = pieces_of(unit);
    if (head + 1 == z_.heads || pieces.begin == pieces.end) return;
    auto token = [&](int64_t slot) { return plan_.k_starts()[size_t(slot / z_.chunks_per_block)]; };
    int64_t begin = token(slots_of_piece(pieces.begin).begin), count = token(slots_of_piece(pieces.end - 1).end) - begin;
    job.ahead[2] = {key_rows(a_.k, head + 1, begin), count};
    if (a_.v) job.ahead[3] = {key_rows(a_.v, head + 1, begin), count};
  }

  int64_t first_block(int64_t tile) const { return tile / z_.tiles_per_block * z_.blocks_per_tile; }
  int64_t blocks_of(int64_t tile) const { return std::min(z_.blocks_per_tile, parts_.q.count() - first_block(tile)); }

  // First slot and count of a tile; no rows for the parts of a query block beyond its valid tokens.
  std::pair<int64_t, int64_t> slots_of(int64_t tile) const {
    if (!z_.by_block) return {tile * z_.tile_rows, std::min(plan_.nq() - tile * z_.tile_rows, z_.tile_rows)};
    const int64_t* starts = plan_.q_starts().data() + first_block(tile);
    int64_t first = starts[0] + tile % z_.tiles_per_block * z_.tile_rows;
    return {first, std::min(starts[blocks_of(tile)] - first, z_.tile_rows)};
  }

  // The parts of a query block add to the same row of block mass: one after the other, in one unit.
  bool is_unit(int64_t tile) const { return slots_of(tile).second > 0 && !(a_.block_mass && tile % z_.tiles_per_block); }
  int64_t count_units() const {
    int64_t n = 0;
    for (int64_t tile = 0; tile < z_.tiles; ++tile) n += is_unit(tile);
    return n;
  }

  // Longest list first.
  void order(int64_t head) const {
    Unit* units = units_at(head);
    int64_t n = 0;
    for (int64_t tile = 0; tile < z_.tiles; ++tile) {
      if (!is_unit(tile)) continue;
      int64_t keys = 0;
      if (!plan_.is_dense()) {
        const int64_t* r = c_.list(head, first_block(tile));
        for (int64_t i = r[0]; i < r[1]; ++i) keys += parts_.k.valid[size_t(parts_.cols[size_t(i)])];
      }
      units[n++] = {keys, tile};
    }
    if (plan_.is_dense()) return;
    std::sort(units, units + n, [](const Unit& a, const Unit& b) { return a.keys != b.keys ? a.keys > b.keys : a.tile < b.tile; });
  }

  void attend(int64_t head, int64_t unit) const {
    int64_t parts = a_.block_mass ? z_.tiles_per_block : 1, tile = units_at(head)[unit].tile;
    for (int64_t i = 0; i < parts; ++i) {
      if (slots_of(tile + i).second > 0) attend(head, unit, tile + i);
    }
  }

  void attend(int64_t head, int64_t unit, int64_t tile) const {
    int64_t h = head % p_.heads;
    auto [first, rows] = slots_of(tile);
    const int32_t* order = order_of(parts_.q_order, h, plan_.nq());
    auto by_token = [&](const TensorView& t) { return t ? t.as<float>() + head * plan_.nq() + (order ? 0 : first) : nullptr; };
    TileJob job;
    look_ahead(head, unit, job);
    job.q = query_rows(a_.q, head, first);
    job.out = query_rows(a_.out, head, first);
    job.lse = by_token(a_.lse);
    job.rows = int(rows);
    job.dtype = p_.dtype;
    float scale = p_.scale != 0 ? p_.scale : float(1 / std::sqrt(double(p_.head_dim)));
    job.log2_scale = scale * 1.44269504f;
    job.walk = c_.walk(place(head));
    if (!plan_.is_dense()) {
      Walk& w = job.walk;
      const int64_t* r = c_.list(head, first_block(tile));
      w.cols = parts_.cols.data() + r[0];
      w.count = r[1] - r[0];
      if (plan_.has_masks()) {
        w.masks = parts_.mask_of.data() + r[0];
        w.mask_size = parts_.mask_size(), w.mask_row = parts_.mask_row_words();
        w.mask_words = parts_.mask_words.data() + tile % z_.tiles_per_block * z_.tile_rows * w.mask_row;
      }
    }
    if (z_.by_block) {
      job.starts = plan_.q_starts().data() + first_block(tile);
      job.blocks = blocks_of(tile);
      job.first = first;
    }
    if (a_.block_mass) {
      int64_t row = parts_.k.count();
      job.mass = {a_.block_mass.as<float>() + (head * parts_.q.count() + first_block(tile)) * row, row, by_token(a_.mass_lse)};
    }
    Scratch s = c_.scratch();
    LinearJob linear;
    if (linear_.wanted()) {
      linear = linear_.tile(place(head), head, first_block(tile), s);
      job.linear = &linear;
    }
    t_.attend(z_.lay, job, s);
  }
};

constexpr size_t kMostStateBytes = size_t(512) << 20;

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
    size_t states = linear_sizes(make_layout(t_, p.head_dim, plan.parts().k.block), plan).head_bytes();
    if (states > kMostStateBytes) {
      return fmt::format(
          "the linear part would keep {} MiB of sums a head, one [{}, {}] for each of {} key blocks: make them larger",
          states >> 20, p.head_dim, p.head_dim, plan.parts().k.count());
    }
    return {};
  }
  size_t workspace_bytes(const AttentionPlan& plan, const AttentionProblem& p, const ExecContext& ctx) const override {
    return make_sizes(t_, plan, p, ctx.threads).bytes;
  }
  void run(const AttentionPlan& plan, const AttentionProblem& p, const AttentionArgs& a, void* workspace,
           const ExecContext& ctx) const override {
    check_attention(plan, p, a);
    ZT_CHECK(reinterpret_cast<uintptr_t>(workspace) % kAlign == 0);
    Run({t_, plan, p, a, make_sizes(t_, plan, p, ctx.threads), static_cast<char*>(workspace), ctx.threads}).all();
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
