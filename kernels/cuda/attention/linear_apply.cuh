// The linear part of 64 query rows: their features times the query block's matrix, divided by features times sums, projected if
// the plan says so, and blended with what the softmax part has written.
#pragma once

#include "kernels/cuda/attention/linear.cuh"

namespace zt::cuda_attention {

template <class E>
struct ApplyParams {
  hw::gptr<const E> q;
  hw::gptr<E> out;  // read and written
  Strides q_at, out_at;
  int heads = 1, first_head = 0, q_blocks = 1;
  hw::gptr<const LinearTile> tiles;
  hw::gptr<const E> matrices;         // [heads here, q_blocks or 1, D, D]
  hw::gptr<const float> sums;         // [heads here, q_blocks or 1, D]
  hw::gptr<const float> alpha;        // [sets, q_blocks] for a lerp; null: sum
  hw::gptr<const int32_t> set_of;     // per head
  hw::gptr<const float> weight, bias;  // of the projection [D, D], [D]; null: none
  float epsilon = 0;                  // added to the denominator
  bool per_block = false;             // one matrix a query block, else one a head
  Feature feature = Feature::softmax;
};

template <class E, int D>
struct LinearApply {
  using Params = ApplyParams<E>;
  static constexpr int kRows = 64, kThreads = 128, kMinBlocks = 1, kNTiles = D / 8;
  static constexpr uint32_t kMatrixAt = uint32_t(kRows) * D * 2, kWeightAt = kMatrixAt + uint32_t(D) * D * 2,
                            kSumsAt = kWeightAt + uint32_t(D) * D * 2, kShared = kSumsAt + kRows * 4;

  static ZT_DEVICE void run(const Params& p) {
    uint32_t thread = uint32_t(hw::thread()), lane = thread % 32, warp = thread / 32;
    int index = p.first_head + hw::block_y(), batch = index / p.heads, head = index % p.heads;
    LinearTile tile = hw::ldg(p.tiles + hw::block_x());
    int64_t matrix = p.per_block ? int64_t(hw::block_y()) * p.q_blocks + tile.block : hw::block_y();
    fetch_matrix(p.matrices + matrix * D * D, thread);
    if (p.weight) load_weight(p.weight, thread);
    load_rows(p, p.q + (batch * p.q_at.batch + head * p.q_at.head + tile.first * p.q_at.row), p.sums + matrix * D, tile.rows, lane, warp);
    hw::cp_wait<0>();
    hw::sync_block();

    hw::F4 y[kNTiles];
    multiply(lane, warp, y);
    divide(p, lane, warp, y);
    if (p.weight) project(p, lane, y);
    float keep = 1, share = 1;
    if (p.alpha) keep = hw::ldg(p.alpha + (int64_t(hw::ldg(p.set_of + head)) * p.q_blocks + tile.block)), share = 1 - keep;
    hw::gptr<E> out = p.out + (batch * p.out_at.batch + head * p.out_at.head + tile.first * p.out_at.row);
    blend(out, p.out_at.row, tile.rows, keep, share, lane, warp, y);
  }

  static ZT_DEVICE void fetch_matrix(hw::gptr<const E> from, uint32_t thread) {
    for (uint32_t i = thread; i < D * D / 8; i += kThreads) {
      hw::cp_async16(hw::shared() + (kMatrixAt + hw::swizzled(i / (D / 8), i % (D / 8), D * 2)), from + i * 8, true);
    }
    hw::cp_commit();
  }

  // Rows are output channels, as rows of keys are n-tiles.
  static ZT_DEVICE void load_weight(hw::gptr<const float> from, uint32_t thread) {
    for (uint32_t i = thread; i < D * D / 4; i += kThreads) {
      hw::F4 x = hw::ldg(hw::as<const hw::F4>(from + i * 4));
      uint32_t row = i / (D / 4), column = i % (D / 4) * 4;
      hw::sts(hw::shared() + (kWeightAt + hw::swizzled(row, column / 8, D * 2) + column % 8 * 2), hw::U2{hw::pack<E>(x.x, x.y), hw::pack<E>(x.z, x.w)});
    }
  }

  // Features of the warp's own 16 rows, and their denominators.
  static ZT_DEVICE void load_rows(const Params& p, hw::gptr<const E> q, hw::gptr<const float> sums, int rows, uint32_t lane, uint32_t warp) {
    constexpr int V = FeatureRow<D>::V;
    float z[V];
    ZT_UNROLL
    for (int i = 0; i < V; ++i) z[i] = hw::ldg(sums + (int(lane) * V + i));
    for (uint32_t r = 16 * warp; r < 16 * warp + 16; ++r) {
      FeatureRow<D> row;
      row.clear();
      float dot = 0;
      if (int(r) < rows) {
        row.template load<E>(q + int(r) * p.q_at.row, lane);
        row.template apply<E>(p.feature);
        ZT_UNROLL
        for (int i = 0; i < V; ++i) dot = hw::fma(row.x[i], z[i], dot);
        ZT_UNROLL
        for (int m = 16; m > 0; m /= 2) dot += hw::shfl_xor(dot, m);
      }
      row.template store<E>(hw::shared(), r, lane);
      if (lane == 0) hw::sts(hw::shared() + (kSumsAt + r * 4), dot + p.epsilon);
    }
  }

  static ZT_DEVICE void multiply(uint32_t lane, uint32_t warp, hw::F4 (&y)[kNTiles]) {
    LaneRows by_row = rows_first<D>(lane);
    ZT_UNROLL
    for (int n = 0; n < kNTiles; ++n) y[n] = {0, 0, 0, 0};
    ZT_UNROLL
    for (int ks = 0; ks < D / 16; ++ks) {
      hw::U4 a = hw::ldsm4(fragment_at<D>(hw::shared(), by_row, 16 * int(warp), ks));
      ZT_UNROLL
      for (int n = 0; n < kNTiles; n += 2) {
        hw::U4 b = hw::ldsm4t(fragment_at<D>(hw::shared() + kMatrixAt, by_row, 16 * ks, n / 2));
        hw::mma16816<E>(y[n], a, b.x, b.y);
        hw::mma16816<E>(y[n + 1], a, b.z, b.w);
      }
    }
  }

  // Nothing in scope: zero.
  static ZT_DEVICE void divide(const Params&, uint32_t lane, uint32_t warp, hw::F4 (&y)[kNTiles]) {
    float by[2];
    ZT_UNROLL
    for (int h = 0; h < 2; ++h) {
      float sum = hw::lds<float>(hw::shared() + (kSumsAt + (16 * warp + 8 * uint32_t(h) + lane / 4) * 4));
      by[h] = sum == 0 ? 0.f : hw::div(1.f, sum);
    }
    ZT_UNROLL
    for (int n = 0; n < kNTiles; ++n) y[n].x *= by[0], y[n].y *= by[0], y[n].z *= by[1], y[n].w *= by[1];
  }

  static ZT_DEVICE void project(const Params& p, uint32_t lane, hw::F4 (&y)[kNTiles]) {
    LaneRows by_chunk = chunks_first<D>(lane);
    hw::F4 x[kNTiles];
    ZT_UNROLL
    for (int n = 0; n < kNTiles; ++n) {
      float first = hw::ldg(p.bias + (8 * n + 2 * int(lane % 4))), second = hw::ldg(p.bias + (8 * n + 2 * int(lane % 4) + 1));
      x[n] = {first, second, first, second};
    }
    ZT_UNROLL
    for (int ks = 0; ks < D / 16; ++ks) {
      const hw::F4 &a = y[2 * ks], &b = y[2 * ks + 1];
      hw::U4 left{hw::pack<E>(a.x, a.y), hw::pack<E>(a.z, a.w), hw::pack<E>(b.x, b.y), hw::pack<E>(b.z, b.w)};
      ZT_UNROLL
      for (int n = 0; n < kNTiles; n += 2) {
        hw::U4 w = hw::ldsm4(fragment_at<D>(hw::shared() + kWeightAt, by_chunk, 8 * n, ks));
        hw::mma16816<E>(x[n], left, w.x, w.y);
        hw::mma16816<E>(x[n + 1], left, w.z, w.w);
      }
    }
    ZT_UNROLL
    for (int n = 0; n < kNTiles; ++n) y[n] = x[n];
  }

  static ZT_DEVICE void blend(hw::gptr<E> out, int64_t stride, int rows, float keep, float share, uint32_t lane, uint32_t warp,
                              const hw::F4 (&y)[kNTiles]) {
    ZT_UNROLL
    for (int h = 0; h < 2; ++h) {
      int row = int(16 * warp + 8 * uint32_t(h) + lane / 4);
      if (row >= rows) continue;
      ZT_UNROLL
      for (int n = 0; n < kNTiles; ++n) {
        hw::gptr<uint32_t> at = hw::as<uint32_t>(out + (row * stride + 8 * n + 2 * int(lane % 4)));
        float low, high;
        FeatureRow<D>::template unpack<E>(hw::ldg(at), low, high);
        low = hw::fma(keep, low, share * (h ? y[n].z : y[n].x)), high = hw::fma(keep, high, share * (h ? y[n].w : y[n].y));
        hw::stg(at, hw::pack<E>(low, high));
      }
    }
  }
};

}  // namespace zt::cuda_attention
