// bf16 dot products (vdpbf16ps): pairs of neighbouring bf16 are multiplied and added to f32.
#include <immintrin.h>

#include "kernels/cpu/attention/tile.h"

#pragma GCC diagnostic push
// GCC's AVX-512 headers read undefined vectors on purpose and warn about it.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avx512f,avx512dq,avx512bw,avx512vl,avx512cd,avx512bf16,prefer-vector-width=512")

namespace zt::cpu_attention {
namespace avx512_bf16 {
namespace {

#include "kernels/cpu/attention/avx512_vec.h"

struct Vec : Zmm {
  using Dwords = __m512i;
  static constexpr int kPairs = 2;
  static constexpr int kRows = 4;
  static Dwords load_dwords(const Dword* p) { return _mm512_load_si512(p); }
  static Dwords spread(const Dword* p) { return _mm512_set1_epi32(int(*p)); }
  static F mul_add(Dwords a, Dwords b, F c) { return _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b); }
  static F exp2(F x) { return exp2_cubic(x); }
  // Sums the rounded P, so that a row dominated by one key is exact.
  template <int NV>
  static F store_probs(Dword* to, const F (&p)[NV], F sum) {
    const __m512i ones = _mm512_set1_epi32(0x3f803f80);
    ZT_UNROLL
    for (int v = 0; v < NV; v += 2) {
      // The second operand goes to the low half.
      __m512i both = (__m512i)_mm512_cvtne2ps_pbh(v + 1 < NV ? p[v + 1] : zero(), p[v]);
      _mm512_store_si512(to + v / 2 * kWidth, both);
      sum = mul_add(both, ones, sum);
    }
    return sum;
  }
};

#include "kernels/cpu/attention/tile_body.h"

}  // namespace
}  // namespace avx512_bf16

const TileKernel kAvx512Bf16{"cpu_avx512_bf16", Isa::avx512_bf16, false, 2, 64, 1, 32, avx512_bf16::pack, avx512_bf16::attend};

}  // namespace zt::cpu_attention

#pragma GCC pop_options
#pragma GCC diagnostic pop
