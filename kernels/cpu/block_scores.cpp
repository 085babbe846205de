#include "kernels/cpu/block_scores.h"

#include <algorithm>

namespace zt {
namespace {

using Vec = float __attribute__((vector_size(16)));
constexpr int kKeys = 8;         // of a panel: two vectors
constexpr int64_t kDepth = 256;  // channels of a panel, so that it stays in the first cache

// kRows x kKeys products over `depth` channels, added to sums; panel[c] holds channel c of the panel's keys.
template <int kRows>
void micro(const float* q, int64_t d, const float (*panel)[kKeys], int64_t depth, Vec (*sums)[2]) {
  Vec s[kRows][2];
  for (int r = 0; r < kRows; ++r) s[r][0] = sums[r][0], s[r][1] = sums[r][1];
  for (int64_t c = 0; c < depth; ++c) {
    const Vec k0 = *reinterpret_cast<const Vec*>(panel[c]), k1 = *reinterpret_cast<const Vec*>(panel[c] + 4);
    for (int r = 0; r < kRows; ++r) {
      const float x = q[r * d + c];
      s[r][0] += k0 * x, s[r][1] += k1 * x;
    }
  }
  for (int r = 0; r < kRows; ++r) sums[r][0] = s[r][0], sums[r][1] = s[r][1];
}

}  // namespace

void score_rows(const float* q, int64_t rows, const float* k, int64_t nk, int64_t d, float scale, float* out) {
  alignas(16) float panel[kDepth][kKeys];
  for (int64_t j = 0; j < nk; j += kKeys) {
    const int64_t keys = std::min<int64_t>(kKeys, nk - j);
    for (int64_t c0 = 0; c0 == 0 || c0 < d; c0 += kDepth) {
      const int64_t depth = std::min(kDepth, d - c0);
      for (int64_t x = 0; x < kKeys; ++x) {
        const float* key = k + (j + x) * d + c0;
        for (int64_t c = 0; c < depth; ++c) panel[c][x] = x < keys ? key[c] : 0.f;
      }
      for (int64_t i = 0; i < rows;) {
        const int64_t n = rows - i >= 4 ? 4 : 1;
        Vec sums[4][2] = {};
        auto* flat = reinterpret_cast<float*>(sums);
        for (int64_t r = 0; c0 > 0 && r < n; ++r) std::copy_n(out + (i + r) * nk + j, keys, flat + r * kKeys);
        if (n == 4) {
          micro<4>(q + i * d + c0, d, panel, depth, sums);
        } else {
          micro<1>(q + i * d + c0, d, panel, depth, sums);
        }
        const float last = c0 + depth == d ? scale : 1.f;
        for (int64_t r = 0; r < n; ++r) {
          for (int64_t x = 0; x < keys; ++x) out[(i + r) * nk + j + x] = flat[r * kKeys + x] * last;
        }
        i += n;
      }
    }
  }
}

}  // namespace zt
