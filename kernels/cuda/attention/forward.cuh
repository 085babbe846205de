// Block-sparse flash attention: softmax(scale q k^T + bias) v over the key tiles of each query tile, and log-sum-exps.
// One block of threads computes one query tile of one head; each warp has rows of its own. Keys and values arrive through a ring
// of stages: while a tile is computed, the next ones are on their way. Arithmetic as in FlashAttention-2 (arXiv 2307.08691):
// f32 scores, running maximum m and sum l a row, P rounded to the storage type for the second product.
#pragma once

#include "kernels/cuda/attention/fragments.cuh"
#include "kernels/cuda/attention/tiles.h"
#include "kernels/cuda/common/hw.cuh"

namespace zt::cuda_attention {

constexpr float kLog2e = 1.44269504f, kLn2 = 0.693147181f;

// Rows [N, D] of each head, in elements.
struct Strides {
  int64_t batch = 0, head = 0, row = 0;
};

template <class E>
struct ForwardParams {
  hw::gptr<const E> q, k, v;
  hw::gptr<E> out;
  hw::gptr<float> lse;  // [B, H, Nq]; null: not wanted
  Strides q_at, k_at, v_at, out_at;
  int heads = 1;
  int64_t lse_head = 0;  // Nq
  float scale = 1;       // > 0
  hw::gptr<const QueryTile> query_tiles;  // [sets, tiles of a set]: grid x
  hw::gptr<const KeyTile> key_tiles;
  hw::gptr<const int32_t> set_of;  // per head; null: set 0
  hw::gptr<const int32_t> mask_row;  // per query tile: row 0 of it in its masks
  hw::gptr<const hw::U2> mask_words;
  int mask_row_words = 0;
  int mask_rows = 0;  // of a mask: the query block
};

// EXTRAS: masks and biases. VALUES: without, only log-sum-exps are computed.
template <class E, int D, TileShape S, bool EXTRAS, bool VALUES>
struct Forward {
  using Params = ForwardParams<E>;
  static constexpr int kThreads = S.threads(), kMinBlocks = S.min_blocks;
  static constexpr uint32_t kShared = S.shared_bytes(D);

  static constexpr int kMTiles = S.warp_rows() / 16, kSteps = D / 16, kNTiles = S.keys / 8, kOTiles = VALUES ? D / 8 : 1;
  static constexpr uint32_t kQBytes = uint32_t(S.rows) * D * 2, kTileBytes = uint32_t(S.keys) * D * 2;
  static constexpr int kQTiles = S.q_in_registers ? kSteps : 1;
  using QCopy = TileCopy<E, D, S.rows, kThreads>;
  using KCopy = TileCopy<E, D, S.keys, kThreads>;

  // Of a warp's rows; lane 4g + t holds rows g (index 0) and g + 8 (index 1) of each 16.
  struct State {
    hw::F4 o[kMTiles][kOTiles];
    float m[kMTiles][2], l[kMTiles][2];  // maximum, in units of q.k; this lane's share of the sum of P
    hw::U4 q[kMTiles][kQTiles];
  };
  struct Place {
    uint32_t thread, lane, warp;
    LaneRows by_row, by_chunk;
    hw::saddr q, ring;
  };
  // What a thread copies of every key tile.
  struct Source {
    hw::gptr<const E> k, v;
  };

  static ZT_DEVICE void run(const Params& p) {
    int head = hw::block_y(), batch = hw::block_z();
    int set = p.set_of ? hw::ldg(p.set_of + head) : 0;
    int64_t unit = int64_t(set) * hw::grid_x() + hw::block_x();
    QueryTile tile = hw::ldg(p.query_tiles + unit);
    if (tile.begin == tile.end) return write_empty(p, tile, batch, head);

    Place at = place();
    Source from = start(p, at, tile, batch, head);
    State s;
    clear(s);
    hw::cp_wait<S.stages - 1>();
    hw::sync_block();
    load_all_q(s, at);

    KeyTile now = hw::ldg(p.key_tiles + tile.begin);
    int64_t mask_row = 0;
    if constexpr (EXTRAS) mask_row = p.mask_row ? hw::ldg(p.mask_row + unit) : 0;
    int stage = 0;
    ZT_NO_UNROLL
    for (int i = tile.begin; i < tile.end; ++i) {
      int ahead = i + S.stages - 1;
      KeyTile later = hw::ldg(p.key_tiles + (ahead < tile.end ? ahead : i));
      KeyTile next = S.stages == 2 ? later : hw::ldg(p.key_tiles + (i + 1 < tile.end ? i + 1 : i));
      hw::cp_wait<S.stages - 2>();
      // Publishes tile i, and frees the stage of the one before it.
      hw::sync_block();
      if (ahead < tile.end) fetch(p, from, at, later, stage == 0 ? S.stages - 1 : stage - 1);
      hw::cp_commit();
      step(p, s, at, now, mask_row, at.ring + uint32_t(stage) * 2 * kTileBytes);
      now = next;
      stage = stage + 1 == S.stages ? 0 : stage + 1;
    }
    finish(p, s, at, tile, batch, head);
  }

  static ZT_DEVICE Place place() {
    Place at;
    at.thread = uint32_t(hw::thread()), at.lane = at.thread % 32, at.warp = at.thread / 32;
    at.by_row = rows_first<D>(at.lane), at.by_chunk = chunks_first<D>(at.lane);
    at.q = hw::shared(), at.ring = hw::shared() + kQBytes;
    return at;
  }

  // Sends for the query tile and for the first key tiles, a group each.
  static ZT_DEVICE Source start(const Params& p, const Place& at, const QueryTile& tile, int batch, int head) {
    int64_t q_row = tile.first + QCopy::row(at.thread);
    int chunk = int(at.thread % QCopy::kChunks) * 8;
    QCopy::issue(at.q, p.q + (batch * p.q_at.batch + head * p.q_at.head + q_row * p.q_at.row + chunk), p.q_at.row, tile.rows, at.thread);
    hw::cp_commit();
    Source from;
    int64_t row = KCopy::row(at.thread);
    from.k = p.k + (batch * p.k_at.batch + head * p.k_at.head + row * p.k_at.row + chunk);
    if constexpr (VALUES) from.v = p.v + (batch * p.v_at.batch + head * p.v_at.head + row * p.v_at.row + chunk);
    ZT_UNROLL
    for (int i = 0; i < S.stages - 1; ++i) {
      if (tile.begin + i < tile.end) fetch(p, from, at, hw::ldg(p.key_tiles + (tile.begin + i)), i);
      hw::cp_commit();
    }
    return from;
  }

  static ZT_DEVICE void load_all_q(State& s, const Place& at) {
    if constexpr (S.q_in_registers) {
      ZT_UNROLL
      for (int mt = 0; mt < kMTiles; ++mt) {
        ZT_UNROLL
        for (int ks = 0; ks < kSteps; ++ks) s.q[mt][ks] = load_q(at, mt, ks);
      }
    }
  }

  static ZT_DEVICE void clear(State& s) {
    ZT_UNROLL
    for (int mt = 0; mt < kMTiles; ++mt) {
      ZT_UNROLL
      for (int o = 0; o < kOTiles; ++o) s.o[mt][o] = {0, 0, 0, 0};
      ZT_UNROLL
      for (int h = 0; h < 2; ++h) s.m[mt][h] = kMinusInf(), s.l[mt][h] = 0;
    }
  }
  static ZT_DEVICE float kMinusInf() { return hw::float_of(0xff800000u); }

  static ZT_DEVICE void fetch(const Params& p, const Source& from, const Place& at, const KeyTile& t, int stage) {
    hw::saddr to = at.ring + uint32_t(stage) * 2 * kTileBytes;
    KCopy::issue(to, from.k + t.first * p.k_at.row, p.k_at.row, t.keys, at.thread);
    if constexpr (VALUES) KCopy::issue(to + kTileBytes, from.v + t.first * p.v_at.row, p.v_at.row, t.keys, at.thread);
  }

  static ZT_DEVICE hw::U4 load_q(const Place& at, int mt, int ks) {
    return hw::ldsm4(fragment_at<D>(at.q, at.by_row, int(at.warp) * S.warp_rows() + 16 * mt, ks));
  }

  // One key tile: scores, their softmax, and P V added to what is there.
  static ZT_DEVICE void step(const Params& p, State& s, const Place& at, const KeyTile& t, int64_t mask_row, hw::saddr keys) {
    hw::F4 c[kMTiles][kNTiles];
    masked_scores(p, s, at, t, mask_row, keys, c);
    softmax(p, s, c);
    if constexpr (VALUES) add_values(s, at, keys + kTileBytes, c);
  }

  static ZT_DEVICE void masked_scores(const Params& p, const State& s, const Place& at, const KeyTile& t, int64_t mask_row,
                                      hw::saddr keys, hw::F4 (&c)[kMTiles][kNTiles]) {
    scores(s, at, keys, c);
    if (t.keys < S.keys) drop_tail(at, t.keys, c);
    if constexpr (EXTRAS) {
      add_bias(t.bias, c);
      if (t.mask >= 0) apply_mask(p, at, t, mask_row, c);
    }
  }

  static ZT_DEVICE void scores(const State& s, const Place& at, hw::saddr keys, hw::F4 (&c)[kMTiles][kNTiles]) {
    ZT_UNROLL
    for (int mt = 0; mt < kMTiles; ++mt) {
      ZT_UNROLL
      for (int n = 0; n < kNTiles; ++n) c[mt][n] = {0, 0, 0, 0};
    }
    ZT_UNROLL
    for (int ks = 0; ks < kSteps; ++ks) {
      hw::U4 q[kMTiles];
      ZT_UNROLL
      for (int mt = 0; mt < kMTiles; ++mt) {
        if constexpr (S.q_in_registers) q[mt] = s.q[mt][ks];
        else q[mt] = load_q(at, mt, ks);
      }
      ZT_UNROLL
      for (int n = 0; n < kNTiles; n += 2) {
        hw::U4 k = hw::ldsm4(fragment_at<D>(keys, at.by_chunk, 8 * n, ks));
        ZT_UNROLL
        for (int mt = 0; mt < kMTiles; ++mt) {
          hw::mma16816<E>(c[mt][n], q[mt], k.x, k.y);
          hw::mma16816<E>(c[mt][n + 1], q[mt], k.z, k.w);
        }
      }
    }
  }

  // Scores of keys beyond the tile's.
  static ZT_DEVICE void drop_tail(const Place& at, int keys, hw::F4 (&c)[kMTiles][kNTiles]) {
    ZT_UNROLL
    for (int n = 0; n < kNTiles; ++n) {
      int key = 8 * n + 2 * int(at.lane % 4);
      bool first = key >= keys, second = key + 1 >= keys;
      ZT_UNROLL
      for (int mt = 0; mt < kMTiles; ++mt) {
        hw::F4& x = c[mt][n];
        if (first) x.x = x.z = kMinusInf();
        if (second) x.y = x.w = kMinusInf();
      }
    }
  }

  static ZT_DEVICE void add_bias(float bias, hw::F4 (&c)[kMTiles][kNTiles]) {
    ZT_UNROLL
    for (int mt = 0; mt < kMTiles; ++mt) {
      ZT_UNROLL
      for (int n = 0; n < kNTiles; ++n) {
        hw::F4& x = c[mt][n];
        x.x += bias, x.y += bias, x.z += bias, x.w += bias;
      }
    }
  }

  // Rows beyond the query tile's read some row of the mask: they are not stored.
  static ZT_DEVICE void apply_mask(const Params& p, const Place& at, const KeyTile& t, int64_t mask_row, hw::F4 (&c)[kMTiles][kNTiles]) {
    hw::gptr<const hw::U2> words = p.mask_words + (t.mask >> 1);
    ZT_UNROLL
    for (int mt = 0; mt < kMTiles; ++mt) {
      int64_t row = mask_row + int(at.warp) * S.warp_rows() + 16 * mt + int(at.lane / 4);
      ZT_UNROLL
      for (int h = 0; h < 2; ++h) {
        hw::U2 word = hw::ldg(words + clamp_row(p, row + 8 * h) * p.mask_row_words);
        ZT_UNROLL
        for (int n = 0; n < kNTiles; ++n) {
          uint32_t half = n < 4 && !(t.mask & 1) ? word.x : word.y;
          uint32_t bits = half >> (8 * (n % 4) + 2 * (at.lane % 4));
          hw::F4& x = c[mt][n];
          float& first = h ? x.z : x.x;
          float& second = h ? x.w : x.y;
          if (!(bits & 1)) first = kMinusInf();
          if (!(bits & 2)) second = kMinusInf();
        }
      }
    }
  }
  static ZT_DEVICE int64_t clamp_row(const Params& p, int64_t row) { return row < p.mask_rows ? row : p.mask_rows - 1; }

  // Scores become P; what was summed before follows the new maximum.
  static ZT_DEVICE void softmax(const Params& p, State& s, hw::F4 (&c)[kMTiles][kNTiles]) {
    float unit = p.scale * kLog2e;
    float shrink[kMTiles][2];
    bool grew = false;
    ZT_UNROLL
    for (int mt = 0; mt < kMTiles; ++mt) {
      ZT_UNROLL
      for (int h = 0; h < 2; ++h) {
        float top = s.m[mt][h];
        ZT_UNROLL
        for (int n = 0; n < kNTiles; ++n) top = hw::max(top, hw::max(h ? c[mt][n].z : c[mt][n].x, h ? c[mt][n].w : c[mt][n].y));
        top = hw::max(top, hw::shfl_xor(top, 1));
        top = hw::max(top, hw::shfl_xor(top, 2));
        // A row without a key so far: any finite number will do.
        float shift = (top == kMinusInf() ? 0.f : top) * unit;
        shrink[mt][h] = hw::exp2(hw::fma(s.m[mt][h], unit, -shift));
        grew |= s.m[mt][h] != top;
        s.m[mt][h] = top;
        float sum = 0;
        ZT_UNROLL
        for (int n = 0; n < kNTiles; ++n) {
          float& first = h ? c[mt][n].z : c[mt][n].x;
          float& second = h ? c[mt][n].w : c[mt][n].y;
          first = hw::exp2(hw::fma(first, unit, -shift)), second = hw::exp2(hw::fma(second, unit, -shift));
          sum += first + second;
        }
        s.l[mt][h] = hw::fma(s.l[mt][h], shrink[mt][h], sum);
      }
    }
    if constexpr (VALUES) {
      if (hw::any(grew)) {
        ZT_UNROLL
        for (int mt = 0; mt < kMTiles; ++mt) {
          ZT_UNROLL
          for (int o = 0; o < kOTiles; ++o) {
            hw::F4& x = s.o[mt][o];
            x.x *= shrink[mt][0], x.y *= shrink[mt][0], x.z *= shrink[mt][1], x.w *= shrink[mt][1];
          }
        }
      }
    }
  }

  // The accumulators of one product are laid out as the left operand of the next.
  static ZT_DEVICE void add_values(State& s, const Place& at, hw::saddr values, const hw::F4 (&c)[kMTiles][kNTiles]) {
    ZT_UNROLL
    for (int n = 0; n < kNTiles; n += 2) {
      hw::U4 probs[kMTiles];
      ZT_UNROLL
      for (int mt = 0; mt < kMTiles; ++mt) {
        const hw::F4 &a = c[mt][n], &b = c[mt][n + 1];
        probs[mt] = {hw::pack<E>(a.x, a.y), hw::pack<E>(a.z, a.w), hw::pack<E>(b.x, b.y), hw::pack<E>(b.z, b.w)};
      }
      ZT_UNROLL
      for (int o = 0; o < kOTiles; o += 2) {
        hw::U4 v = hw::ldsm4t(fragment_at<D>(values, at.by_row, 8 * n, o / 2));
        ZT_UNROLL
        for (int mt = 0; mt < kMTiles; ++mt) {
          hw::mma16816<E>(s.o[mt][o], probs[mt], v.x, v.y);
          hw::mma16816<E>(s.o[mt][o + 1], probs[mt], v.z, v.w);
        }
      }
    }
  }

  static ZT_DEVICE void finish(const Params& p, State& s, const Place& at, const QueryTile& tile, int batch, int head) {
    // The rows of the query tile are this warp's own: they carry its results out, in whole chunks.
    hw::sync_warp();
    int first = int(at.warp) * S.warp_rows();
    ZT_UNROLL
    for (int mt = 0; mt < kMTiles; ++mt) {
      ZT_UNROLL
      for (int h = 0; h < 2; ++h) {
        float l = s.l[mt][h];
        l += hw::shfl_xor(l, 1);
        l += hw::shfl_xor(l, 2);
        int row = first + 16 * mt + 8 * h + int(at.lane / 4);
        if (p.lse && at.lane % 4 == 0 && row < tile.rows) {
          int64_t to = (int64_t(batch) * p.heads + head) * p.lse_head + tile.first + row;
          hw::stg(p.lse + to, l == 0 ? kMinusInf() : hw::fma(s.m[mt][h], p.scale, hw::log2(l) * kLn2));
        }
        if constexpr (VALUES) {
          float by = l == 0 ? 0.f : hw::rcp(l);
          ZT_UNROLL
          for (int o = 0; o < kOTiles; ++o) {
            const hw::F4& x = s.o[mt][o];
            uint32_t pair = h ? hw::pack<E>(x.z * by, x.w * by) : hw::pack<E>(x.x * by, x.y * by);
            hw::sts(at.q + hw::swizzled(uint32_t(row), uint32_t(o), D * 2) + at.lane % 4 * 4, pair);
          }
        }
      }
    }
    if constexpr (VALUES) {
      hw::sync_warp();
      hw::gptr<E> out = p.out + (batch * p.out_at.batch + head * p.out_at.head + tile.first * p.out_at.row);
      constexpr int kChunks = D / 8, kRows = 32 / kChunks;
      ZT_UNROLL
      for (int i = 0; i < S.warp_rows(); i += kRows) {
        int row = first + i + int(at.lane) / kChunks, chunk = int(at.lane) % kChunks;
        hw::U4 x = hw::lds<hw::U4>(at.q + hw::swizzled(uint32_t(row), uint32_t(chunk), D * 2));
        if (row < tile.rows) hw::stg(hw::as<hw::U4>(out + (row * p.out_at.row + chunk * 8)), x);
      }
    }
  }

  static ZT_DEVICE void write_empty(const Params& p, const QueryTile& tile, int batch, int head) {
    if (p.lse) {
      int64_t to = (int64_t(batch) * p.heads + head) * p.lse_head + tile.first;
      for (int r = hw::thread(); r < tile.rows; r += kThreads) hw::stg(p.lse + (to + r), kMinusInf());
    }
    if constexpr (VALUES) {
      hw::gptr<E> out = p.out + (batch * p.out_at.batch + head * p.out_at.head + tile.first * p.out_at.row);
      for (int i = hw::thread(); i < tile.rows * (D / 8); i += kThreads) {
        hw::stg(hw::as<hw::U4>(out + (i / (D / 8) * p.out_at.row + i % (D / 8) * 8)), hw::U4{0, 0, 0, 0});
      }
    }
  }
};

}  // namespace zt::cuda_attention
