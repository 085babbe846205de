// The linear part of a plan: phi(q) sum(phi(k) v^T) / (phi(q) . sum phi(k)) over the keys in scope, blended with the softmax part
// (SLA, arXiv 2509.24006; SLA2, arXiv 2602.12675). Three steps: a state [D features][D channels] and D sums of features for each
// piece of the keys; from the states in a query block's scope its matrix; the matrix applied to the query block's rows.
// Features are rounded to the storage type once, so that numerator and denominator see the same numbers. States are f32 and summed
// in double: numbers of f32 whose exponents lie within 29 of each other are added without any rounding, so that a total less the
// states out of scope is what those in scope sum to.
#pragma once

#include "kernels/cuda/attention/forward.cuh"

namespace zt::cuda_attention {

enum class Feature : int { softmax, elu, relu };  // as FeatureMap of the plan
enum class Scope : int { complement, global, listed };  // as LinearScope of the plan

// One row of features by one warp: lane l has channels [l * V, l * V + V).
template <int D>
struct FeatureRow {
  static constexpr int V = D / 32;
  float x[V];

  template <class E>
  ZT_DEVICE void load(hw::gptr<const E> row, uint32_t lane) {
    if constexpr (V == 4) {
      hw::U2 u = hw::ldg(hw::as<const hw::U2>(row + lane * 4));
      unpack<E>(u.x, x[0], x[1]), unpack<E>(u.y, x[2], x[3]);
    } else {
      unpack<E>(hw::ldg(hw::as<const uint32_t>(row + lane * 2)), x[0], x[1]);
    }
  }
  template <class E>
  static ZT_DEVICE void unpack(uint32_t pair, float& low, float& high) {
    low = hw::to_float(E{uint16_t(pair)}), high = hw::to_float(E{uint16_t(pair >> 16)});
  }

  // phi, rounded to E. All lanes of the warp together.
  template <class E>
  ZT_DEVICE void apply(Feature f) {
    if (f == Feature::softmax) {
      float most = x[0], sum = 0;
      ZT_UNROLL
      for (int i = 1; i < V; ++i) most = hw::max(most, x[i]);
      ZT_UNROLL
      for (int m = 16; m > 0; m /= 2) most = hw::max(most, hw::shfl_xor(most, m));
      ZT_UNROLL
      for (int i = 0; i < V; ++i) sum += x[i] = hw::exp2((x[i] - most) * kLog2e);
      ZT_UNROLL
      for (int m = 16; m > 0; m /= 2) sum += hw::shfl_xor(sum, m);
      ZT_UNROLL
      for (int i = 0; i < V; ++i) x[i] = hw::div(x[i], sum);
    } else {
      ZT_UNROLL
      for (int i = 0; i < V; ++i) {
        float below = f == Feature::relu ? 0.f : hw::exp2(x[i] * kLog2e), above = f == Feature::relu ? x[i] : x[i] + 1;
        // What is not a number stays so.
        x[i] = x[i] > 0 ? above : x[i] <= 0 ? below : x[i];
      }
    }
    ZT_UNROLL
    for (int i = 0; i < V; ++i) x[i] = hw::to_float(hw::from_float<E>(x[i]));
  }
  template <class E>
  ZT_DEVICE void store(hw::saddr tile, uint32_t row, uint32_t lane) const {
    hw::saddr to = tile + (hw::swizzled(row, lane * V / 8, D * 2) + lane * V % 8 * 2);
    if constexpr (V == 4) hw::sts(to, hw::U2{hw::pack<E>(x[0], x[1]), hw::pack<E>(x[2], x[3])});
    else hw::sts(to, hw::pack<E>(x[0], x[1]));
  }
  ZT_DEVICE void clear() {
    ZT_UNROLL
    for (int i = 0; i < V; ++i) x[i] = 0;
  }
};

constexpr int64_t state_floats(int d) { return int64_t(d) * d + d; }

template <class E>
struct StateParams {
  hw::gptr<const E> k, v;
  Strides k_at, v_at;
  int heads = 1, first_head = 0;         // of batch * heads; grid y counts on from it
  hw::gptr<const KeyTile> pieces;        // grid x; any number of keys each
  hw::gptr<float> states;                // [grid y, grid x, state_floats]
  Feature feature = Feature::softmax;
};

// phi(K)^T V of a piece: a warp has 16 features.
template <class E, int D>
struct LinearState {
  using Params = StateParams<E>;
  static constexpr int kWarps = D / 16, kThreads = 32 * kWarps, kMinBlocks = 1, kKeys = 64;
  static constexpr uint32_t kTileBytes = uint32_t(kKeys) * D * 2, kShared = 2 * kTileBytes;

  static ZT_DEVICE void run(const Params& p) {
    uint32_t thread = uint32_t(hw::thread()), lane = thread % 32, warp = thread / 32;
    int index = p.first_head + hw::block_y(), batch = index / p.heads, head = index % p.heads;
    KeyTile piece = hw::ldg(p.pieces + hw::block_x());
    hw::gptr<const E> k = p.k + (batch * p.k_at.batch + head * p.k_at.head), v = p.v + (batch * p.v_at.batch + head * p.v_at.head);
    hw::saddr features = hw::shared(), values = hw::shared() + kTileBytes;
    LaneRows by_row = rows_first<D>(lane), by_chunk = chunks_first<D>(lane);
    hw::F4 acc[D / 8];
    ZT_UNROLL
    for (int o = 0; o < D / 8; ++o) acc[o] = {0, 0, 0, 0};
    FeatureRow<D> sum;
    sum.clear();
    for (int base = 0; base < piece.keys; base += kKeys) {
      int left = piece.keys - base;
      hw::sync_block();
      for (uint32_t r = warp; r < kKeys; r += kWarps) {
        FeatureRow<D> row;
        row.clear();
        if (int(r) < left) {
          row.template load<E>(k + (piece.first + base + int(r)) * p.k_at.row, lane);
          row.template apply<E>(p.feature);
          ZT_UNROLL
          for (int i = 0; i < FeatureRow<D>::V; ++i) sum.x[i] += row.x[i];
        }
        row.template store<E>(features, r, lane);
      }
      for (uint32_t i = thread; i < kKeys * (D / 8); i += kThreads) {
        uint32_t r = i / (D / 8), chunk = i % (D / 8);
        hw::U4 x{0, 0, 0, 0};
        if (int(r) < left) x = hw::ldg(hw::as<const hw::U4>(v + ((piece.first + base + int(r)) * p.v_at.row + int(chunk) * 8)));
        hw::sts(values + hw::swizzled(r, chunk, D * 2), x);
      }
      hw::sync_block();
      ZT_UNROLL
      for (int key = 0; key < kKeys; key += 16) {
        hw::U4 a = hw::ldsm4t(fragment_at<D>(features, by_chunk, key, int(warp)));
        ZT_UNROLL
        for (int o = 0; o < D / 8; o += 2) {
          hw::U4 b = hw::ldsm4t(fragment_at<D>(values, by_row, key, o / 2));
          hw::mma16816<E>(acc[o], a, b.x, b.y);
          hw::mma16816<E>(acc[o + 1], a, b.z, b.w);
        }
      }
    }
    hw::gptr<float> state = p.states + (int64_t(hw::block_y()) * hw::grid_x() + hw::block_x()) * state_floats(D);
    int feature = int(16 * warp + lane / 4), channel = int(2 * (lane % 4));
    ZT_UNROLL
    for (int o = 0; o < D / 8; ++o) {
      hw::stg(hw::as<hw::F2>(state + (feature * D + 8 * o + channel)), hw::F2{acc[o].x, acc[o].y});
      hw::stg(hw::as<hw::F2>(state + ((feature + 8) * D + 8 * o + channel)), hw::F2{acc[o].z, acc[o].w});
    }
    hw::sync_block();
    ZT_UNROLL
    for (int i = 0; i < FeatureRow<D>::V; ++i) hw::sts(hw::shared() + (warp * D + lane * FeatureRow<D>::V + uint32_t(i)) * 4, sum.x[i]);
    hw::sync_block();
    if (thread < D) {
      float total = 0;
      for (int w = 0; w < kWarps; ++w) total += hw::lds<float>(hw::shared() + (uint32_t(w) * D + thread) * 4);
      hw::stg(state + (D * D + int(thread)), total);
    }
  }
};

template <class E>
struct MatrixParams {
  hw::gptr<const float> states;  // [heads here, pieces, state_floats]
  hw::gptr<double> totals;       // [heads here, state_floats]
  hw::gptr<E> matrices;          // [heads here, q_blocks, D, D]
  hw::gptr<float> sums;          // [heads here, q_blocks, D]
  int pieces = 0, heads = 1, first_head = 0;
  Scope scope = Scope::global;
  hw::gptr<const int32_t> offsets, cols;  // CSR of the scope's lists, [sets, q_blocks + 1 shared ends]
  hw::gptr<const int32_t> set_of;         // per head
};

// Sums over all pieces of a head. Grid x covers the floats of a state, four a thread; y the heads.
template <class E, int D>
struct LinearTotal {
  using Params = MatrixParams<E>;
  static constexpr int kThreads = 256, kMinBlocks = 1, kFloats = int(state_floats(D)), kGrid = (kFloats / 4 + kThreads - 1) / kThreads;

  static ZT_DEVICE void run(const Params& p) {
    int at = 4 * (hw::block_x() * kThreads + hw::thread());
    if (at >= kFloats) return;
    hw::gptr<const float> from = p.states + (int64_t(hw::block_y()) * p.pieces * kFloats + at);
    double sum[4] = {0, 0, 0, 0};
    for (int j = 0; j < p.pieces; ++j) add(sum, from + int64_t(j) * kFloats);
    ZT_UNROLL
    for (int i = 0; i < 4; ++i) hw::stg(p.totals + (int64_t(hw::block_y()) * kFloats + at + i), sum[i]);
  }
  static ZT_DEVICE void add(double (&sum)[4], hw::gptr<const float> from) {
    hw::F4 x = hw::ldg(hw::as<const hw::F4>(from));
    sum[0] += double(x.x), sum[1] += double(x.y), sum[2] += double(x.z), sum[3] += double(x.w);
  }
  static ZT_DEVICE void take_away(double (&sum)[4], hw::gptr<const float> from) {
    hw::F4 x = hw::ldg(hw::as<const hw::F4>(from));
    sum[0] -= double(x.x), sum[1] -= double(x.y), sum[2] -= double(x.z), sum[3] -= double(x.w);
  }
};

// The matrix of each query block. Grid y counts query blocks, z heads. What lies outside a short list is the total less the list;
// outside a long one it is summed directly.
template <class E, int D>
struct LinearMatrix {
  using Params = MatrixParams<E>;
  using Total = LinearTotal<E, D>;
  static constexpr int kThreads = Total::kThreads, kMinBlocks = 1, kFloats = Total::kFloats, kGrid = Total::kGrid;

  static ZT_DEVICE void run(const Params& p) {
    int at = 4 * (hw::block_x() * kThreads + hw::thread());
    if (at >= kFloats) return;
    int block = hw::block_y(), here = hw::block_z(), q_blocks = hw::grid_y();
    hw::gptr<const float> states = p.states + (int64_t(here) * p.pieces * kFloats + at);
    double sum[4] = {0, 0, 0, 0};
    bool all = p.scope == Scope::global;
    int begin = 0, end = 0;
    if (!all) {
      int set = hw::ldg(p.set_of + (p.first_head + here) % p.heads);
      begin = hw::ldg(p.offsets + (set * q_blocks + block)), end = hw::ldg(p.offsets + (set * q_blocks + block + 1));
    }
    bool subtract = p.scope == Scope::complement && 2 * (end - begin) <= p.pieces;
    if (all || subtract) {
      ZT_UNROLL
      for (int i = 0; i < 4; ++i) sum[i] = hw::ldg(p.totals + (int64_t(here) * kFloats + at + i));
    }
    if (subtract) {
      for (int i = begin; i < end; ++i) Total::take_away(sum, states + int64_t(hw::ldg(p.cols + i)) * kFloats);
    } else if (p.scope == Scope::listed) {
      for (int i = begin; i < end; ++i) Total::add(sum, states + int64_t(hw::ldg(p.cols + i)) * kFloats);
    } else if (!all) {
      int i = begin;
      for (int j = 0; j < p.pieces; ++j) {
        if (i < end && hw::ldg(p.cols + i) == j) ++i;
        else Total::add(sum, states + int64_t(j) * kFloats);
      }
    }
    int64_t to = int64_t(here) * q_blocks + block;
    hw::F4 x{float(sum[0]), float(sum[1]), float(sum[2]), float(sum[3])};
    if (at < D * D) {
      hw::stg(hw::as<hw::U2>(p.matrices + (to * D * D + at)), hw::U2{hw::pack<E>(x.x, x.y), hw::pack<E>(x.z, x.w)});
    } else {
      hw::stg(hw::as<hw::F4>(p.sums + (to * D + at - D * D)), x);
    }
  }
};

}  // namespace zt::cuda_attention
