// bf16 dot products (vdpbf16ps): pairs of neighbouring bf16 are multiplied and added to f32.
#include <immintrin.h>

#include "kernels/cpu/attention/fetcher.h"
#include "kernels/cpu/attention/linear.h"

#pragma GCC diagnostic push
// GCC's AVX-512 headers read undefined vectors on purpose and warn about it.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avx512f,avx512dq,avx512bw,avx512vl,avx512cd,avx512bf16,prefer-vector-width=512")

namespace zt::cpu_attention {
namespace avx512_bf16 {
namespace {

#include "kernels/cpu/attention/avx512_vec.inc"
#include "kernels/cpu/attention/bf16_vec.inc"
#include "kernels/cpu/attention/tile_body.inc"

}  // namespace
}  // namespace avx512_bf16

const TileKernel kAvx512Bf16{"cpu_avx512_bf16",
                             Isa::avx512_bf16,
                             false,
                             2,
                             64,
                             1,
                             32,
                             avx512_bf16::pack,
                             avx512_bf16::attend,
                             avx512_bf16::make_state,
                             avx512_bf16::sum_states,
                             avx512_bf16::make_matrix};

}  // namespace zt::cpu_attention

#pragma GCC pop_options
#pragma GCC diagnostic pop
