// AVX-512 (F, DQ, BW, VL) bodies of the small ops.
// GCC's AVX-512 headers leave pass-through operands undefined on purpose and then warn about them.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>

#include <cmath>

#include "kernels/cpu/small_kernels.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,fma")
namespace zt::small_avx512 {
namespace {

struct Vec {
  using F = __m512;
  static constexpr int kWidth = 16;
  struct Full {};
  struct Part {
    __mmask16 mask;
  };
  static Part part(int64_t n) { return {__mmask16((1u << n) - 1)}; }

  static F zero() { return _mm512_setzero_ps(); }
  static F set(float f) { return _mm512_set1_ps(f); }
  static F load(const float* p, Full) { return _mm512_loadu_ps(p); }
  static F load(const float* p, Part n) { return _mm512_maskz_loadu_ps(n.mask, p); }
  static F widen(__m256i b) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(b), 16)); }
  static F load(const bf16* p, Full) { return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
  static F load(const bf16* p, Part n) { return widen(_mm256_maskz_loadu_epi16(n.mask, p)); }
  static void store(float* p, F v, Full) { _mm512_storeu_ps(p, v); }
  static void store(float* p, F v, Part n) { _mm512_mask_storeu_ps(p, n.mask, v); }
  // Round to nearest even, as bf16(float).
  static __m256i narrow(F v) {
    __m512i u = _mm512_castps_si512(v), odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    __m512i r = _mm512_srli_epi32(_mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
    __m512i quiet = _mm512_or_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(0x40));
    return _mm512_cvtepi32_epi16(_mm512_mask_mov_epi32(r, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), quiet));
  }
  static void store(bf16* p, F v, Full) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow(v)); }
  static void store(bf16* p, F v, Part n) { _mm256_mask_storeu_epi16(p, n.mask, narrow(v)); }
  static F keep(F v, Full) { return v; }
  static F keep(F v, Part n) { return _mm512_maskz_mov_ps(n.mask, v); }

  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F div(F a, F b) { return _mm512_div_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F max(F a, F b) { return _mm512_max_ps(a, b); }  // b when either is NaN
  static F min(F a, F b) { return _mm512_min_ps(a, b); }
  static F sqrt(F a) { return _mm512_sqrt_ps(a); }
  static float sum(F v) { return _mm512_reduce_add_ps(v); }
  static float top(F v) { return _mm512_reduce_max_ps(v); }
  static F round(F v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static F scale2(F v, F n) { return _mm512_scalef_ps(v, n); }

  // (c0, c0, c1, c1, ...) of the next kWidth / 2 floats.
  static F pairs(__m256 c) {
    return _mm512_permutexvar_ps(_mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0), _mm512_castps256_ps512(c));
  }
  static F load_pairs(const float* p, Full) { return pairs(_mm256_loadu_ps(p)); }
  static F load_pairs(const float* p, Part n) {
    return pairs(_mm512_castps512_ps256(_mm512_maskz_loadu_ps(__mmask16((1u << (__builtin_popcount(n.mask) / 2)) - 1), p)));
  }
  // (a, b) -> (a cos - b sin, b cos + a sin)
  static F rotate(F v, F cos, F sin) { return _mm512_fmaddsub_ps(v, cos, _mm512_mul_ps(_mm512_permute_ps(v, 0xb1), sin)); }
};

#include "kernels/cpu/small_body.inc"

}  // namespace
}  // namespace zt::small_avx512
#pragma GCC pop_options

namespace zt {
const SmallKernels& small_kernels_avx512() { return small_avx512::kKernels; }
}  // namespace zt
