// Block mass: probabilities exp(logit - reference) summed over each pair of a query block and a key block, where the reference of a
// row is its log-sum-exp. Scores are computed anew, for half the work of a forward pass and without scratch memory. One block of
// threads does one query block, so that sums have a fixed order.
#pragma once

#include "kernels/cuda/attention/forward.cuh"

namespace zt::cuda_attention {

template <class E>
struct MassParams {
  ForwardParams<E> f;               // query_tiles: whole query blocks. lse is read: [B, H, Nq], by slot
  hw::gptr<const int32_t> q_block;  // per query tile
  hw::gptr<const int32_t> k_block;  // per key tile
  hw::gptr<float> mass;             // [B, H, q_blocks, k_blocks], zeros where nothing is kept
  int q_blocks = 0, k_blocks = 0;
};

template <class E, int D, TileShape S>
struct Mass {
  using Params = MassParams<E>;
  using F = Forward<E, D, S, true, false>;
  static constexpr int kThreads = S.threads(), kMinBlocks = S.min_blocks;
  // A sum of each warp, of this key tile and the one before.
  static constexpr uint32_t kSumsAt = F::kShared, kShared = F::kShared + 2 * S.warps * 4;

  static ZT_DEVICE void run(const Params& p) {
    int head = hw::block_y(), batch = hw::block_z();
    int set = p.f.set_of ? hw::ldg(p.f.set_of + head) : 0;
    int64_t unit = int64_t(set) * hw::grid_x() + hw::block_x();
    QueryTile tile = hw::ldg(p.f.query_tiles + unit);
    if (tile.begin == tile.end) return;
    int64_t row = (int64_t(batch) * p.f.heads + head) * p.q_blocks + hw::ldg(p.q_block + unit);
    hw::gptr<float> mass = p.mass + row * p.k_blocks;
    for (int first = 0; first < tile.rows; first += S.rows) {
      QueryTile part{tile.first + first, tile.rows - first < S.rows ? tile.rows - first : S.rows, tile.begin, tile.end};
      hw::sync_block();  // nobody reads the part before any more
      add_part(p, part, first, mass, batch, head);
    }
  }

  // Rows [first, first + rows) of the query block.
  static ZT_DEVICE void add_part(const Params& p, const QueryTile& tile, int first, hw::gptr<float> mass, int batch, int head) {
    typename F::Place at = F::place();
    typename F::Source from = F::start(p.f, at, tile, batch, head);
    typename F::State s;
    hw::cp_wait<S.stages - 1>();
    hw::sync_block();
    F::load_all_q(s, at);
    float reference[F::kMTiles][2];
    load_references(p, at, tile, batch, head, reference);
    float sum = 0;  // of the key block so far; thread 0
    int stage = 0;
    ZT_NO_UNROLL
    for (int i = tile.begin; i < tile.end; ++i) {
      int ahead = i + S.stages - 1;
      KeyTile now = hw::ldg(p.f.key_tiles + i);
      hw::cp_wait<S.stages - 2>();
      hw::sync_block();
      if (at.thread == 0 && i > tile.begin) add_tile(p, i - 1, tile, first, mass, sum);
      if (ahead < tile.end) F::fetch(p.f, from, at, hw::ldg(p.f.key_tiles + ahead), stage == 0 ? S.stages - 1 : stage - 1);
      hw::cp_commit();
      float mine = tile_sum(p, s, at, now, first, reference, at.ring + uint32_t(stage) * 2 * F::kTileBytes);
      ZT_UNROLL
      for (int m = 16; m > 0; m /= 2) mine += hw::shfl_xor(mine, m);
      if (at.lane == 0) hw::sts(sums_of(i) + at.warp * 4, mine);
      stage = stage + 1 == S.stages ? 0 : stage + 1;
    }
    hw::sync_block();
    if (at.thread == 0) add_tile(p, tile.end - 1, tile, first, mass, sum);
  }

  static ZT_DEVICE hw::saddr sums_of(int i) { return hw::shared() + (kSumsAt + uint32_t(i & 1) * S.warps * 4); }

  // What a row's P is relative to, in base 2: infinite, so that P is 0, for rows that do not count.
  static ZT_DEVICE void load_references(const Params& p, const typename F::Place& at, const QueryTile& tile, int batch, int head,
                                        float (&reference)[F::kMTiles][2]) {
    ZT_UNROLL
    for (int mt = 0; mt < F::kMTiles; ++mt) {
      ZT_UNROLL
      for (int h = 0; h < 2; ++h) {
        int row = int(at.warp) * S.warp_rows() + 16 * mt + 8 * h + int(at.lane / 4);
        float x = F::kMinusInf();
        if (row < tile.rows) x = hw::ldg(p.f.lse + ((int64_t(batch) * p.f.heads + head) * p.f.lse_head + tile.first + row));
        bool finite = (hw::bits_of(x) & 0x7f800000u) != 0x7f800000u;
        reference[mt][h] = finite ? x * kLog2e : -F::kMinusInf();
      }
    }
  }

  // This lane's share of the sum of P over a key tile.
  static ZT_DEVICE float tile_sum(const Params& p, const typename F::State& s, const typename F::Place& at, const KeyTile& t,
                                  int64_t mask_row, const float (&reference)[F::kMTiles][2], hw::saddr keys) {
    hw::F4 c[F::kMTiles][F::kNTiles];
    F::masked_scores(p.f, s, at, t, mask_row, keys, c);
    float unit = p.f.scale * kLog2e, sum = 0;
    ZT_UNROLL
    for (int mt = 0; mt < F::kMTiles; ++mt) {
      ZT_UNROLL
      for (int h = 0; h < 2; ++h) {
        float row = 0;
        ZT_UNROLL
        for (int n = 0; n < F::kNTiles; ++n) {
          const hw::F4& x = c[mt][n];
          row += hw::exp2(hw::fma(h ? x.z : x.x, unit, -reference[mt][h])) + hw::exp2(hw::fma(h ? x.w : x.y, unit, -reference[mt][h]));
        }
        // A row that does not count may hold anything.
        sum += reference[mt][h] == -F::kMinusInf() ? 0.f : row;
      }
    }
    return sum;
  }

  // The warps' sums of key tile i, in order; written out where its key block ends.
  static ZT_DEVICE void add_tile(const Params& p, int i, const QueryTile& tile, int first, hw::gptr<float> mass, float& sum) {
    ZT_UNROLL
    for (int w = 0; w < S.warps; ++w) sum += hw::lds<float>(sums_of(i) + w * 4);
    int block = hw::ldg(p.k_block + i);
    if (i + 1 < tile.end && hw::ldg(p.k_block + (i + 1)) == block) return;
    hw::stg(mass + block, first > 0 ? hw::ldg(mass + block) + sum : sum);
    sum = 0;
  }
};

struct ZeroParams {
  hw::gptr<float> x;
  int64_t count = 0;
};
struct Zero {
  using Params = ZeroParams;
  static constexpr int kThreads = 256, kMinBlocks = 1;
  static ZT_DEVICE void run(const Params& p) {
    for (int64_t i = int64_t(hw::block_x()) * kThreads + hw::thread(); i < p.count; i += int64_t(hw::grid_x()) * kThreads) hw::stg(p.x + i, 0.f);
  }
};

}  // namespace zt::cuda_attention
