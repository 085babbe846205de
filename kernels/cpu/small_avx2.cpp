// AVX2 + FMA bodies of the small ops.
#include <immintrin.h>

#include <cmath>

#include "kernels/cpu/small_kernels.h"

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace zt::small_avx2 {
namespace {

struct Vec {
  using F = __m256;
  static constexpr int kWidth = 8;
  struct Full {};
  struct Part {
    int64_t n;
  };
  static Part part(int64_t n) { return {n}; }

  static __m256i mask(int64_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(int(n)), _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0));
  }
  static F zero() { return _mm256_setzero_ps(); }
  static F set(float f) { return _mm256_set1_ps(f); }
  static F load(const float* p, Full) { return _mm256_loadu_ps(p); }
  static F load(const float* p, Part n) { return _mm256_maskload_ps(p, mask(n.n)); }
  static F widen(__m128i b) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(b), 16)); }
  static F load(const bf16* p, Full) { return widen(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
  static F load(const bf16* p, Part n) {
    alignas(16) uint16_t b[8] = {};
    for (int64_t i = 0; i < n.n; ++i) b[i] = p[i].bits;
    return widen(_mm_load_si128(reinterpret_cast<const __m128i*>(b)));
  }
  static void store(float* p, F v, Full) { _mm256_storeu_ps(p, v); }
  static void store(float* p, F v, Part n) { _mm256_maskstore_ps(p, mask(n.n), v); }
  // Round to nearest even, as bf16(float).
  static __m128i narrow(F v) {
    __m256i u = _mm256_castps_si256(v), odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    __m256i r = _mm256_srli_epi32(_mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
    __m256i quiet = _mm256_or_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(0x40));
    r = _mm256_blendv_epi8(r, quiet, _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q)));
    return _mm256_castsi256_si128(_mm256_permute4x64_epi64(_mm256_packus_epi32(r, r), 0x08));
  }
  static void store(bf16* p, F v, Full) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), narrow(v)); }
  static void store(bf16* p, F v, Part n) {
    alignas(16) uint16_t b[8];
    _mm_store_si128(reinterpret_cast<__m128i*>(b), narrow(v));
    for (int64_t i = 0; i < n.n; ++i) p[i].bits = b[i];
  }
  static F keep(F v, Full) { return v; }
  static F keep(F v, Part n) { return _mm256_and_ps(v, _mm256_castsi256_ps(mask(n.n))); }

  static F add(F a, F b) { return _mm256_add_ps(a, b); }
  static F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F div(F a, F b) { return _mm256_div_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static F max(F a, F b) { return _mm256_max_ps(a, b); }  // b when either is NaN
  static F min(F a, F b) { return _mm256_min_ps(a, b); }
  static F sqrt(F a) { return _mm256_sqrt_ps(a); }
  static float sum(F v) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
  }
  static float top(F v) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
  }
  static F round(F v) { return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  // v * 2^n for whole n in [-252, 254], in two steps so that neither factor leaves the range of f32.
  static F scale2(F v, F n) {
    __m256i i = _mm256_cvtps_epi32(n), h = _mm256_srai_epi32(i, 1), bias = _mm256_set1_epi32(127);
    auto power = [&](__m256i e) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(e, bias), 23)); };
    return _mm256_mul_ps(_mm256_mul_ps(v, power(h)), power(_mm256_sub_epi32(i, h)));
  }

  // (c0, c0, c1, c1, ...) of the next kWidth / 2 floats.
  static F pairs(__m128 c) {
    return _mm256_permutevar8x32_ps(_mm256_castps128_ps256(c), _mm256_set_epi32(3, 3, 2, 2, 1, 1, 0, 0));
  }
  static F load_pairs(const float* p, Full) { return pairs(_mm_loadu_ps(p)); }
  static F load_pairs(const float* p, Part n) { return pairs(_mm_maskload_ps(p, _mm256_castsi256_si128(mask(n.n / 2)))); }
  // (a, b) -> (a cos - b sin, b cos + a sin)
  static F rotate(F v, F cos, F sin) { return _mm256_fmaddsub_ps(v, cos, _mm256_mul_ps(_mm256_permute_ps(v, 0xb1), sin)); }
};

#include "kernels/cpu/small_body.inc"

}  // namespace
}  // namespace zt::small_avx2
#pragma GCC pop_options

namespace zt {
const SmallKernels& small_kernels_avx2() { return small_avx2::kKernels; }
}  // namespace zt
