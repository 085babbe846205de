// f32 arithmetic with AVX-512; bf16 storage is widened when packed.
#include <immintrin.h>

#include "kernels/cpu/attention/fetcher.h"
#include "kernels/cpu/attention/linear.h"

#pragma GCC diagnostic push
// GCC's AVX-512 headers read undefined vectors on purpose and warn about it.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avx512f,avx512dq,avx512bw,avx512vl,avx512cd,prefer-vector-width=512")

namespace zt::cpu_attention {
namespace avx512 {
namespace {

#include "kernels/cpu/attention/avx512_vec.inc"

struct Vec : Zmm {
  using Dwords = __m512;
  static constexpr int kPairs = 1;
  static constexpr int kRows = 4;
  static Dwords load_dwords(const Dword* p) { return _mm512_load_ps(p); }
  static Dwords spread(const Dword* p) { return _mm512_castsi512_ps(_mm512_set1_epi32(int(*p))); }
  static F mul_add(Dwords a, Dwords b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F exp2(F x) { return exp2_quintic(x); }
  static F rounded(F x) { return x; }
  static F add_probs(const Dword* p, F sum) { return add(sum, load_dwords(p)); }
  template <int NV>
  static F store_probs(Dword* to, const F (&p)[NV], F sum) {
    ZT_UNROLL
    for (int v = 0; v < NV; ++v) {
      _mm512_store_ps(to + v * kWidth, p[v]);
      sum = add(sum, p[v]);
    }
    return sum;
  }
};

#include "kernels/cpu/attention/tile_body.inc"

}  // namespace
}  // namespace avx512

const TileKernel kAvx512{
    "cpu_avx512",       Isa::avx512,        true, 1, 64, 1, 16, avx512::pack, avx512::attend, avx512::make_state,
    avx512::sum_states, avx512::make_matrix};

}  // namespace zt::cpu_attention

#pragma GCC pop_options
#pragma GCC diagnostic pop
