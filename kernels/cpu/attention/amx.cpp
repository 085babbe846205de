// Matrix products on AMX tiles (tdpbf16ps), exponentials with AVX-512.
#include <immintrin.h>

#include "kernels/cpu/attention/fetcher.h"
#include "kernels/cpu/attention/linear.h"

#pragma GCC diagnostic push
// GCC's AVX-512 headers read undefined vectors on purpose and warn about it.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC push_options
#pragma GCC target( \
    "avx2,fma,f16c,avx512f,avx512dq,avx512bw,avx512vl,avx512cd,avx512bf16,amx-tile,amx-bf16,prefer-vector-width=512")

namespace zt::cpu_attention {
namespace amx {
namespace {

#include "kernels/cpu/attention/avx512_vec.inc"
#include "kernels/cpu/attention/bf16_vec.inc"

// Rows of a tile lie `row` dwords apart. The memory clobbers keep loads and stores of vectors on their side.
struct Tiles {
  struct alignas(64) Config {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  };
  static void configure() {
    Config config;
    asm volatile("ldtilecfg %0" ::"m"(config) : "memory");
  }
  static void release() { asm volatile("tilerelease" ::: "memory"); }
  template <int T>
  static void zero() {
    asm volatile("tilezero %%tmm%c0" ::"i"(T));
  }
  template <int T>
  static void load(const void* p, int64_t row) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(p), "r"(row * 4), "i"(T) : "memory");
  }
  template <int T>
  static void store(float* p, int64_t row) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(p), "r"(row * 4), "i"(T) : "memory");
  }
  template <int C, int A, int B>
  static void dot() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B));
  }
};

#include "kernels/cpu/attention/amx_body.inc"

}  // namespace
}  // namespace amx

const TileKernel kAmx{
    "cpu_amx",       Isa::amx,        false, 2, 64, 16, 32, amx::pack, amx::attend_with_tiles, amx::state_with_tiles,
    amx::sum_states, amx::make_matrix};

}  // namespace zt::cpu_attention

#pragma GCC pop_options
#pragma GCC diagnostic pop
