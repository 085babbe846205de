// f32 arithmetic with AVX2 and FMA; bf16 storage is widened when packed.
#include <immintrin.h>

#include "kernels/cpu/attention/fetcher.h"
#include "kernels/cpu/attention/linear.h"

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")

namespace zt::cpu_attention {
namespace avx2 {
namespace {

struct Vec {
  using F = __m256;
  using Dwords = __m256;
  using Mask = __m256;
  static constexpr int kWidth = 8;
  static constexpr int kPanelVectors = 2;
  static constexpr int kRows = 6;  // 12 accumulators, two right operands and one left one in 16 registers
  static constexpr int kAccumulators = 12;
  static constexpr int kPairs = 1;
  static F zero() { return _mm256_setzero_ps(); }
  static F set(float x) { return _mm256_set1_ps(x); }
  static F load(const float* p) { return _mm256_load_ps(p); }
  static F load_any(const float* p) { return _mm256_loadu_ps(p); }
  static F widen(const Half* p) {
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
  }
  static void store(float* p, F x) { _mm256_store_ps(p, x); }
  static F add(F a, F b) { return _mm256_add_ps(a, b); }
  static F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static F max(F a, F b) { return _mm256_max_ps(a, b); }
  static float max_lane(F x) {
    __m128 h = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    h = _mm_max_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_max_ss(h, _mm_movehdup_ps(h)));
  }
  static float add_lanes(F x) {
    __m128 h = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    h = _mm_add_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_add_ss(h, _mm_movehdup_ps(h)));
  }
  static Mask first_lanes(int n) {
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)));
  }
  static Mask lanes_of(uint64_t bits) {
    const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(int(bits & 255)), lane), lane));
  }
  static F keep(Mask m, F x) { return _mm256_and_ps(m, x); }
  static F keep_or(Mask m, F x, float other) { return _mm256_blendv_ps(set(other), x, m); }
  static bool any_not_below(F x, float limit) { return _mm256_movemask_ps(_mm256_cmp_ps(x, set(limit), _CMP_NLT_UQ)) != 0; }

  static Dwords load_dwords(const Dword* p) {
    return _mm256_castsi256_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static Dwords spread(const Dword* p) { return _mm256_castsi256_ps(_mm256_set1_epi32(int(*p))); }
  static F mul_add(Dwords a, Dwords b, F c) { return _mm256_fmadd_ps(a, b, c); }
  // Minimax quintic of 2^r on [-1/2, 1/2], relative error 2.1e-7. The clamps keep NaN: max and min return their
  // second operand then, and the scale is multiplied, not added to the exponent bits. Below 2^-126: 0.
  static F exp2(F x) {
    const F shifter = set(12582912.f);  // 1.5 * 2^23: the low mantissa bits of x + shifter are round(x)
    F live = _mm256_cmp_ps(x, set(-126.f), _CMP_NLT_UQ);
    x = _mm256_min_ps(set(127.4f), _mm256_max_ps(set(-126.f), x));
    F t = add(x, shifter), r = sub(x, sub(t, shifter));
    F p = fma(set(0.001327647198f), r, set(0.009675541334f));
    p = fma(p, r, set(0.05550713274f));
    p = fma(p, r, set(0.2402211972f));
    p = fma(p, r, set(0.6931469671f));
    p = fma(p, r, set(1.000000072f));
    __m256i scale = _mm256_add_epi32(_mm256_slli_epi32(_mm256_castps_si256(t), 23), _mm256_set1_epi32(0x3f800000));
    return _mm256_and_ps(live, _mm256_mul_ps(p, _mm256_castsi256_ps(scale)));
  }
  static F rounded(F x) { return x; }
  template <int NV>
  static F store_probs(Dword* to, const F (&p)[NV], F sum) {
    ZT_UNROLL
    for (int v = 0; v < NV; ++v) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(to + v * kWidth), _mm256_castps_si256(p[v]));
      sum = add(sum, p[v]);
    }
    return sum;
  }
  static F add_probs(const Dword* p, F sum) { return add(sum, load_dwords(p)); }
  // Lane i of the result is op over the lanes of x[i].
  template <class Op>
  static F across(const F (&x)[8], Op op) {
    F quad[2];  // 128-bit lane l: what is left of x[4g] .. x[4g + 3]
    ZT_UNROLL
    for (int g = 0; g < 2; ++g) {
      const F* y = x + 4 * g;
      F a = op(_mm256_unpacklo_ps(y[0], y[1]), _mm256_unpackhi_ps(y[0], y[1]));
      F b = op(_mm256_unpacklo_ps(y[2], y[3]), _mm256_unpackhi_ps(y[2], y[3]));
      quad[g] = op(_mm256_shuffle_ps(a, b, 0x44), _mm256_shuffle_ps(a, b, 0xee));
    }
    return op(_mm256_permute2f128_ps(quad[0], quad[1], 0x20), _mm256_permute2f128_ps(quad[0], quad[1], 0x31));
  }
  static F add_across(const F (&x)[8]) { return across(x, add); }
  static F max_across(const F (&x)[8]) { return across(x, max); }
  // 8 rows of 8 dwords; the first `rows` rows of the transpose are stored.
  static void transpose(const Dword* from, int64_t from_row, Dword* to, int64_t to_row, int rows) {
    __m256 a[8], b[8];
    for (int i = 0; i < 8; ++i) a[i] = load_dwords(from + i * from_row);
    for (int i = 0; i < 8; i += 2) {
      b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
      b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
      a[i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
      a[i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xee);
      a[i + 2] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44);
      a[i + 3] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xee);
    }
    for (int i = 0; i < 4; ++i) {
      b[i] = _mm256_permute2f128_ps(a[i], a[4 + i], 0x20);
      b[4 + i] = _mm256_permute2f128_ps(a[i], a[4 + i], 0x31);
    }
    for (int i = 0; i < rows; ++i) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(to + i * to_row), _mm256_castps_si256(b[i]));
    }
  }
};

#include "kernels/cpu/attention/tile_body.inc"

}  // namespace
}  // namespace avx2

const TileKernel kAvx2{"cpu_avx2",       Isa::avx2,        true, 1, 16, 1, 16, avx2::pack, avx2::attend, avx2::make_state,
                       avx2::sum_states, avx2::make_matrix};

}  // namespace zt::cpu_attention

#pragma GCC pop_options
