// Flash attention of one query tile over traits `Vec`. Included once by each instruction set's file, inside its
// target region and its namespace, after Vec: nothing here may be shared between instruction sets.
//
// P = 2^(logit - ref) with a fixed reference per row instead of a running maximum: exact for any reference as long
// as nothing overflows and the large terms do not underflow. The reference is the row's maximum over its first panel
// of keys. The sums of P double as the overflow test of a pass; a pass that fails is redone once with a raised reference.

// 1e24 * |V| * passes stays below the f32 maximum; a term is lost only when it is 2^-86 of the row's maximum.
constexpr float kSumLimit = 1e24f;
constexpr float kHeadroom = 40;           // log2 units a raised reference lies above the maximum seen
constexpr float kNoReference = -3.4e38f;  // no finite logit yet: the first one overflows and raises it

// acc[r][v] += sum over steps of a[r][j] * b[j][v].
template <int R, int NV>
ZT_INLINE void dot(const Dword* a, int64_t lda, const Dword* b, int64_t ldb, int64_t steps, Vec::F (&acc)[R][NV]) {
  for (int64_t j = 0; j < steps; ++j) {
    Vec::Dwords right[NV];
    ZT_UNROLL
    for (int v = 0; v < NV; ++v) right[v] = Vec::load_dwords(b + v * Vec::kWidth);
    ZT_UNROLL
    for (int r = 0; r < R; ++r) {
      Vec::Dwords left = Vec::spread(a + r * lda + j);
      ZT_UNROLL
      for (int v = 0; v < NV; ++v) acc[r][v] = Vec::mul_add(left, right[v], acc[r][v]);
    }
    b += ldb;
  }
}

enum class Pass { exp, first, max };

struct PanelJob {
  const Dword* q;  // staged rows
  int64_t q_row, steps;
  const Dword* k;
  int64_t k_row;
  int keys;           // valid ones in this panel
  Dword* probs;    // row 0
  float scale, bias;
  const Scratch* s;
};

template <Pass kPass, int R, int NV>
ZT_INLINE void score_rows(const PanelJob& j, int row) {
  Vec::F acc[R][NV];
  ZT_UNROLL
  for (int r = 0; r < R; ++r) {
    ZT_UNROLL
    for (int v = 0; v < NV; ++v) acc[r][v] = Vec::zero();
  }
  dot<R, NV>(j.q + row * j.q_row, j.q_row, j.k, j.k_row, j.steps, acc);
  // Only the last vector of a panel can hold padding.
  Vec::Mask valid = Vec::first_lanes(j.keys - (NV - 1) * Vec::kWidth);
  Vec::F scale = Vec::set(j.scale), bias = Vec::set(j.bias);
  if constexpr (kPass != Pass::exp) {
    ZT_UNROLL
    for (int r = 0; r < R; ++r) {
      Vec::F most = Vec::keep_or(valid, Vec::fma(acc[r][NV - 1], scale, bias), kNoReference);
      ZT_UNROLL
      for (int v = 0; v < NV - 1; ++v) most = Vec::max(Vec::fma(acc[r][v], scale, bias), most);
      float m = Vec::max_lane(most);
      float* at = kPass == Pass::first ? j.s->ref + row + r : j.s->tile_max + row + r;
      if constexpr (kPass == Pass::first) {
        // Also catches NaN and -inf.
        *at = m > kNoReference && m < -kNoReference ? m : kNoReference;
      } else if (m > *at) {
        *at = m;
      }
    }
  }
  if constexpr (kPass != Pass::max) {
    ZT_UNROLL
    for (int r = 0; r < R; ++r) {
      Vec::F shift = Vec::sub(bias, Vec::set(j.s->ref[row + r])), p[NV];
      ZT_UNROLL
      for (int v = 0; v < NV; ++v) p[v] = Vec::exp2(Vec::fma(acc[r][v], scale, shift));
      p[NV - 1] = Vec::keep(valid, p[NV - 1]);
      float* sum = j.s->tile_sum + (row + r) * kLanes;
      Vec::store(sum, Vec::store_probs<NV>(j.probs + (row + r) * kProbStride, p, Vec::load(sum)));
    }
  }
}

// More rows for narrow panels: at least 12 independent accumulators hide the latency of the multiplication.
template <int NV>
constexpr int kRowsFor = NV == Vec::kPanelVectors ? Vec::kRows : (NV * 8 <= Vec::kAccumulators ? 8 : 4);

template <Pass kPass, int NV>
void score_panel(const PanelJob& j, int rows) {
  constexpr int kR = kRowsFor<NV>;
  int r = 0;
  for (; r + kR <= rows; r += kR) score_rows<kPass, kR, NV>(j, r);
  if constexpr (kR != 4) {
    for (; r + 4 <= rows; r += 4) score_rows<kPass, 4, NV>(j, r);
  }
  if constexpr (kR % 4 != 0) {
    for (; r < rows; r += 2) score_rows<kPass, 2, NV>(j, r);
  }
}

template <Pass kPass, int NV = Vec::kPanelVectors>
ZT_INLINE void score_panel_of(const PanelJob& j, int rows) {
  if constexpr (NV > 1) {
    if (j.keys <= (NV - 1) * Vec::kWidth) return score_panel_of<kPass, NV - 1>(j, rows);
  }
  score_panel<kPass, NV>(j, rows);
}

// Logits of all chunks of a pass, turned into P (or their maxima).
template <bool kMaxOnly>
void score_pass(const Layout& lay, const TileJob& job, const Scratch& s, const Chunk* chunks, int count, int rows, bool first) {
  for (int i = 0; i < count; ++i) {
    const Chunk& c = chunks[i];
    constexpr int kPanel = Vec::kPanelVectors * Vec::kWidth;
    for (int p = 0; p * kPanel < c.keys; ++p) {
      int left = c.keys - p * kPanel;
      PanelJob j{s.stage, lay.row, lay.steps, c.k + p * kPanel * lay.steps, lay.panel_width(p, lay.capacity),
                 left < kPanel ? left : kPanel, s.probs + c.at + p * kPanel / Vec::kPairs, job.log2_scale, c.bias, &s};
      if constexpr (kMaxOnly) {
        score_panel_of<Pass::max>(j, rows);
      } else if (first && i == 0 && p == 0) {
        score_panel_of<Pass::first>(j, rows);
      } else {
        score_panel_of<Pass::exp>(j, rows);
      }
    }
  }
}

// True when a sum is beyond the limit or not a number.
inline bool row_overflows(const Scratch& s, int row) { return Vec::any_not_below(Vec::load(s.tile_sum + row * kLanes), kSumLimit); }

inline void clear_rows(float* p, int64_t n) {
  for (int64_t i = 0; i < n; ++i) p[i] = 0;
}

// Gives the rows that overflowed a reference above the maximum of the pass, and their past the same scale.
inline void raise_references(const Layout& lay, const Scratch& s, int rows) {
  for (int r = 0; r < rows; ++r) {
    if (!row_overflows(s, r)) continue;
    float raised = s.tile_max[r] + kHeadroom;
    if (!(raised > s.ref[r] && raised < -kNoReference)) continue;  // not finite: the values stand as they are
    float factor = __builtin_exp2f(s.ref[r] - raised);
    s.ref[r] = raised;
    for (int l = 0; l < kLanes; ++l) s.sum[r * kLanes + l] *= factor;
    for (int64_t c = 0; c < lay.channels; ++c) s.out[r * lay.channels + c] *= factor;
  }
}

template <int R, int NV>
ZT_INLINE void value_rows(const Layout& lay, const Scratch& s, const Chunk* chunks, int count, int row, int64_t column, int64_t width) {
  Vec::F acc[R][NV];
  float* out = s.out + row * lay.channels + column;
  ZT_UNROLL
  for (int r = 0; r < R; ++r) {
    ZT_UNROLL
    for (int v = 0; v < NV; ++v) acc[r][v] = Vec::load(out + r * lay.channels + v * Vec::kWidth);
  }
  int64_t panel_at = column * (lay.capacity / Vec::kPairs);
  for (int i = 0; i < count; ++i) {
    const Chunk& c = chunks[i];
    dot<R, NV>(s.probs + row * kProbStride + c.at, kProbStride, c.v + panel_at, width, (c.keys + Vec::kPairs - 1) / Vec::kPairs, acc);
  }
  ZT_UNROLL
  for (int r = 0; r < R; ++r) {
    ZT_UNROLL
    for (int v = 0; v < NV; ++v) Vec::store(out + r * lay.channels + v * Vec::kWidth, acc[r][v]);
  }
}

template <int NV>
void value_panel(const Layout& lay, const Scratch& s, const Chunk* chunks, int count, int rows, int64_t column, int64_t width) {
  constexpr int kR = kRowsFor<NV>;
  int r = 0;
  for (; r + kR <= rows; r += kR) value_rows<kR, NV>(lay, s, chunks, count, r, column, width);
  if constexpr (kR != 4) {
    for (; r + 4 <= rows; r += 4) value_rows<4, NV>(lay, s, chunks, count, r, column, width);
  }
  if constexpr (kR % 4 != 0) {
    for (; r < rows; r += 2) value_rows<2, NV>(lay, s, chunks, count, r, column, width);
  }
}

template <int NV = Vec::kPanelVectors>
ZT_INLINE void value_panel_of(const Layout& lay, const Scratch& s, const Chunk* chunks, int count, int rows, int64_t column, int64_t width) {
  if constexpr (NV > 1) {
    if (width <= (NV - 1) * Vec::kWidth) return value_panel_of<NV - 1>(lay, s, chunks, count, rows, column, width);
  }
  value_panel<NV>(lay, s, chunks, count, rows, column, width);
}

inline void add_values(const Layout& lay, const Scratch& s, const Chunk* chunks, int count, int rows) {
  for (int64_t i = 0; i * lay.panel < lay.channels; ++i) {
    value_panel_of(lay, s, chunks, count, rows, i * lay.panel, lay.panel_width(i, lay.channels));
  }
}

#include "kernels/cpu/attention/rows_body.h"

inline void attend(const Layout& lay, const TileJob& job, const Scratch& s) {
  int rows = int(round_up(job.rows, 4));
  stage_rows(lay, job.q, job.dtype, job.rows, rows, s.stage);
  clear_rows(s.out, rows * lay.channels);
  clear_rows(s.sum, rows * kLanes);
  Walk walk = job.walk;
  Chunk chunks[kMaxChunks];
  bool first = true;
  while (int count = next_pass(walk, lay, chunks)) {
    clear_rows(s.tile_sum, rows * kLanes);
    score_pass<false>(lay, job, s, chunks, count, rows, first);
    first = false;
    bool overflow = false;
    for (int r = 0; r < rows; ++r) overflow |= row_overflows(s, r);
    if (overflow) {
      for (int r = 0; r < rows; ++r) s.tile_max[r] = kNoReference;
      score_pass<true>(lay, job, s, chunks, count, rows, false);
      raise_references(lay, s, rows);
      clear_rows(s.tile_sum, rows * kLanes);
      score_pass<false>(lay, job, s, chunks, count, rows, false);
    }
    for (int r = 0; r < rows; ++r) {
      Vec::F total = Vec::load(s.sum + r * kLanes);
      Vec::store(s.sum + r * kLanes, Vec::add(total, Vec::load(s.tile_sum + r * kLanes)));
    }
    add_values(lay, s, chunks, count, rows);
  }
  for (int r = 0; r < job.rows; ++r) finish_row(lay, job, s, r);
}
