#include "kernels/cuda/attention/call.h"

namespace zt::cuda_attention {
namespace {

constexpr size_t kAlign = 256;
constexpr size_t round_up(size_t n) { return (n + kAlign - 1) / kAlign * kAlign; }

// Rows of 16-bit elements that copies of 16 bytes can take.
bool aligned(const Matrices& m) {
  return reinterpret_cast<uintptr_t>(m.data) % 16 == 0 && m.batch % 8 == 0 && m.head % 8 == 0 && m.row % 8 == 0;
}

// Hands out the workspace in pieces; without one it only counts.
class Pieces {
 public:
  explicit Pieces(void* base) : base_(static_cast<char*>(base)) {}
  void* take(size_t bytes) {
    void* p = base_ ? base_ + at_ : nullptr;
    at_ += round_up(bytes);
    return p;
  }
  size_t bytes() const { return at_; }

 private:
  char* base_;
  size_t at_ = 0;
};

// The tensors as the kernel takes them: packed where tokens move or rows lie askew.
struct Staged {
  bool q, k, v, out, lse, mass_lse;
  Matrices packed_q, packed_k, packed_v, packed_out;
  float *packed_lse = nullptr, *packed_mass_lse = nullptr;
  void* linear = nullptr;
  size_t bytes = 0;

  Staged(const PlanTables& t, const AttentionCall& c, void* workspace) {
    q = t.q_moves || !aligned(c.q), k = t.k_moves || !aligned(c.k), v = c.v.data && (t.k_moves || !aligned(c.v));
    out = c.out.data && (t.q_moves || !aligned(c.out)), lse = c.lse && t.q_moves;
    // Block mass is relative to log-sum-exps in the order of the kernel.
    bool own = c.mass && !c.mass_lse && !c.lse;
    mass_lse = c.mass && c.mass_lse && t.q_moves;
    Pieces pieces(workspace);
    packed_q = place(pieces, q, c, c.nq, c.q), packed_k = place(pieces, k, c, c.nk, c.k), packed_v = place(pieces, v, c, c.nk, c.v);
    packed_out = place(pieces, out, c, c.nq, c.out);
    auto rows = [&] { return static_cast<float*>(pieces.take(size_t(c.batch) * size_t(c.heads) * size_t(c.nq) * 4)); };
    packed_lse = lse || own ? rows() : c.lse;
    packed_mass_lse = mass_lse ? rows() : const_cast<float*>(c.mass_lse);
    if (t.linear && c.out.data) linear = pieces.take(linear_workspace(t.linear->sizes, c.head_dim, int64_t(c.batch) * c.heads));
    bytes = pieces.bytes();
  }

 private:
  static Matrices place(Pieces& pieces, bool moves, const AttentionCall& c, int64_t rows, const Matrices& own) {
    if (!moves) return own;
    int64_t head = rows * c.head_dim;
    return {pieces.take(size_t(c.batch * c.heads * head) * 2), c.heads * head, head, c.head_dim};
  }
};

std::vector<int32_t> sets_of(const TokenOrder& o, int64_t heads) {
  std::vector<int32_t> sets;
  for (int64_t h = 0; h < heads; ++h) sets.push_back(int32_t(o.set_of(h)));
  return sets;
}

}  // namespace

PlanTables make_tables(const AttentionPlan& plan, DType dtype, int head_dim, int64_t heads, float scale, const TileShape& shape,
                       bool block_mass) {
  PlanTables t;
  t.kernel = find_forward(dtype, head_dim, shape);
  ZT_CHECK(t.kernel != nullptr);
  t.lists = make_tile_lists(plan, shape, heads, scale);
  if (block_mass) t.mass_lists = make_tile_lists(plan, shape, heads, scale, ListsFor::mass);
  const PlanParts& parts = plan.parts();
  if (plan.has_linear()) {
    ZT_CHECK(dtype == DType::bf16);
    t.linear = make_linear_tables(plan, heads);
  }
  t.q_moves = parts.q_order.sets > 0, t.k_moves = parts.k_order.sets > 0;
  t.q_sets = sets_of(parts.q_order, heads), t.k_sets = sets_of(parts.k_order, heads);
  t.q_order = parts.q_order.order, t.k_order = parts.k_order.order;
  return t;
}

DeviceTables upload_tables(const PlanTables& t, const Put& put) {
  auto list = [&](const auto& v) {
    using T = typename std::decay_t<decltype(v)>::value_type;
    return v.empty() ? nullptr : static_cast<const T*>(put(std::as_bytes(std::span(v))));
  };
  auto tiles = [&](const TileLists& l) {
    return DeviceTiles{list(l.query_tiles), list(l.key_tiles), list(l.set_of), list(l.mask_row), list(l.mask_words),
                       l.tiles_per_set,     l.mask_row_words,  l.mask_rows,    l.extras};
  };
  DeviceTables d;
  d.tiles = tiles(t.lists), d.mass_tiles = tiles(t.mass_lists);
  if (t.linear) {
    const LinearTables& n = *t.linear;
    d.linear = {list(n.pieces), list(n.tiles), list(n.offsets), list(n.cols), list(n.set_of), list(n.alpha)};
  }
  d.q_block = list(t.mass_lists.q_block), d.k_block = list(t.mass_lists.k_block);
  d.q_order = list(t.q_order), d.q_sets = list(t.q_sets), d.k_order = list(t.k_order), d.k_sets = list(t.k_sets);
  return d;
}

size_t attention_workspace(const PlanTables& t, const AttentionCall& c) { return Staged(t, c, nullptr).bytes; }

int run_attention(const PlanTables& t, const DeviceTables& d, const AttentionCall& c, void* workspace, void* stream) {
  Staged s(t, c, workspace);
  auto move = [&](bool wanted, const Matrices& from, const Matrices& to, int64_t rows, const int32_t* order, const int32_t* sets, bool scatter) {
    if (!wanted || rows == 0) return 0;
    return move_rows({from, to, rows, c.head_dim, c.batch, c.heads, 2, aligned(from) && aligned(to), order, sets, scatter}, stream);
  };
  if (int e = move(s.q, c.q, s.packed_q, c.nq, d.q_order, d.q_sets, false)) return e;
  if (int e = move(s.k, c.k, s.packed_k, c.nk, d.k_order, d.k_sets, false)) return e;
  if (int e = move(s.v, c.v, s.packed_v, c.nk, d.k_order, d.k_sets, false)) return e;
  ForwardCall f{s.packed_q, s.packed_k, s.packed_v, s.packed_out, s.packed_lse, c.batch, c.heads, c.nq, c.scale, d.tiles};
  if (c.out.data || s.packed_lse) {
    if (int e = t.kernel->run(f, stream)) return e;
  }
  if (t.linear && c.out.data) {
    LinearCall l{f, t.linear->sizes, d.linear, c.proj_weight, c.proj_bias, s.linear};
    if (int e = run_linear(l, c.head_dim, stream)) return e;
  }
  if (int e = move(s.out, s.packed_out, c.out, c.nq, d.q_order, d.q_sets, true)) return e;
  auto move_lse = [&](bool wanted, const float* from, float* to, bool scatter) {
    if (!wanted) return 0;
    Matrices a{const_cast<float*>(from), c.heads * c.nq, c.nq, 1}, b{to, c.heads * c.nq, c.nq, 1};
    return move_rows({a, b, c.nq, 1, c.batch, c.heads, 4, false, d.q_order, d.q_sets, scatter}, stream);
  };
  if (int e = move_lse(s.lse, s.packed_lse, c.lse, true)) return e;
  if (!c.mass) return 0;
  if (int e = move_lse(s.mass_lse, c.mass_lse, s.packed_mass_lse, false)) return e;
  MassCall m{f, d.q_block, d.k_block, c.mass, c.q_blocks, c.k_blocks};
  m.f.tiles = d.mass_tiles;
  if (c.mass_lse) m.f.lse = s.packed_mass_lse;
  return t.kernel->mass(m, stream);
}

}  // namespace zt::cuda_attention
