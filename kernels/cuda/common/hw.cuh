// Every hardware word of the kernels, as forced-inline one-liners. This is the device half; tests/support/cuda_host has a file
// of the same relative name that executes the same words on the host, under checks. Kernels include neither a CUDA header nor
// anything of their own that reaches the hardware, so that the very same source runs both ways.
//
// A kernel is a struct K: Params (plain data, pointers as gptr), kThreads (a multiple of 32), kMinBlocks an SM, and
// `static ZT_DEVICE void run(const Params&)`. launch<K>(..) starts it.
//
// Warp words (sync_warp, shfl, any, ballot, ldsm4, mma16816) are executed by all 32 lanes together; sync_block by all threads.
#pragma once

#ifndef __CUDACC__
#error "compiled by nvcc only; host execution puts tests/support/cuda_host first on the include path"
#endif

#include <cuda_runtime.h>

#include <type_traits>

#include "kernels/cuda/common/types.h"

#define ZT_DEVICE __device__ __forceinline__
#define ZT_UNROLL _Pragma("unroll")
#define ZT_NO_UNROLL _Pragma("unroll 1")

namespace zt::hw {

// Global memory. On the host a pointer that knows its allocation: arithmetic may leave it, an access may not.
template <class T>
using gptr = T*;

// Of a pointer to device memory, for those who fill Params.
template <class T>
inline gptr<T> global(void* p) {
  return static_cast<T*>(p);
}
template <class T>
inline gptr<const T> global(const void* p) {
  return static_cast<const T*>(p);
}
// The same bytes as another type.
template <class To, class From>
ZT_DEVICE gptr<To> as(From* p) {
  return reinterpret_cast<To*>(p);
}

ZT_DEVICE int thread() { return int(threadIdx.x); }
ZT_DEVICE int block_x() { return int(blockIdx.x); }
ZT_DEVICE int block_y() { return int(blockIdx.y); }
ZT_DEVICE int block_z() { return int(blockIdx.z); }
ZT_DEVICE int grid_x() { return int(gridDim.x); }
ZT_DEVICE int grid_y() { return int(gridDim.y); }

ZT_DEVICE void sync_block() { __syncthreads(); }
ZT_DEVICE void sync_warp() { __syncwarp(); }
template <class T>
ZT_DEVICE T shfl_xor(T v, int mask) {
  return __shfl_xor_sync(0xffffffffu, v, mask);
}
template <class T>
ZT_DEVICE T shfl(T v, int lane) {
  return __shfl_sync(0xffffffffu, v, lane);
}
template <class T>
ZT_DEVICE T shfl_up(T v, int by) {  // the lowest `by` lanes keep theirs
  return __shfl_up_sync(0xffffffffu, v, unsigned(by));
}
ZT_DEVICE bool any(bool p) { return __any_sync(0xffffffffu, p); }
ZT_DEVICE uint32_t ballot(bool p) { return __ballot_sync(0xffffffffu, p); }

// Shared memory: dynamic only, one symbol, 1,024-byte aligned.
extern __shared__ __align__(1024) unsigned char shared_bytes[];
ZT_DEVICE saddr shared() { return {uint32_t(__cvta_generic_to_shared(shared_bytes))}; }

// Elements of 2, 4, 8 or 16 bytes, naturally aligned.
template <class T>
ZT_DEVICE T lds(saddr a) {
  T v;
  if constexpr (sizeof(T) == 16) {
    U4 u;
    asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];" : "=r"(u.x), "=r"(u.y), "=r"(u.z), "=r"(u.w) : "r"(a.at) : "memory");
    __builtin_memcpy(&v, &u, 16);
  } else if constexpr (sizeof(T) == 8) {
    U2 u;
    asm volatile("ld.shared.v2.b32 {%0, %1}, [%2];" : "=r"(u.x), "=r"(u.y) : "r"(a.at) : "memory");
    __builtin_memcpy(&v, &u, 8);
  } else if constexpr (sizeof(T) == 4) {
    uint32_t u;
    asm volatile("ld.shared.b32 %0, [%1];" : "=r"(u) : "r"(a.at) : "memory");
    __builtin_memcpy(&v, &u, 4);
  } else {
    static_assert(sizeof(T) == 2);
    uint16_t u;
    asm volatile("ld.shared.b16 %0, [%1];" : "=h"(u) : "r"(a.at) : "memory");
    __builtin_memcpy(&v, &u, 2);
  }
  return v;
}
template <class T>
ZT_DEVICE void sts(saddr a, T v) {
  if constexpr (sizeof(T) == 16) {
    U4 u;
    __builtin_memcpy(&u, &v, 16);
    asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(a.at), "r"(u.x), "r"(u.y), "r"(u.z), "r"(u.w) : "memory");
  } else if constexpr (sizeof(T) == 8) {
    U2 u;
    __builtin_memcpy(&u, &v, 8);
    asm volatile("st.shared.v2.b32 [%0], {%1, %2};" ::"r"(a.at), "r"(u.x), "r"(u.y) : "memory");
  } else if constexpr (sizeof(T) == 4) {
    uint32_t u;
    __builtin_memcpy(&u, &v, 4);
    asm volatile("st.shared.b32 [%0], %1;" ::"r"(a.at), "r"(u) : "memory");
  } else {
    static_assert(sizeof(T) == 2);
    uint16_t u;
    __builtin_memcpy(&u, &v, 2);
    asm volatile("st.shared.b16 [%0], %1;" ::"r"(a.at), "h"(u) : "memory");
  }
}
// Returns what was there before.
ZT_DEVICE int atomic_add_shared(saddr a, int v) {
  int old;
  asm volatile("atom.shared.add.s32 %0, [%1], %2;" : "=r"(old) : "r"(a.at), "r"(v) : "memory");
  return old;
}

// Global memory: elements of 1, 2, 4, 8 or 16 bytes, naturally aligned.
template <class T>
ZT_DEVICE std::remove_const_t<T> ldg(T* p) {
  return *p;
}
template <class T>
ZT_DEVICE void stg(T* p, std::type_identity_t<T> v) {
  if constexpr (sizeof(T) == 16) {
    // Left to itself the compiler makes four stores of it, each to every fourth word.
    U4 u;
    __builtin_memcpy(&u, &v, 16);
    asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(p)), "r"(u.x), "r"(u.y), "r"(u.z), "r"(u.w)
                 : "memory");
  } else {
    *p = v;
  }
}
template <class T>
ZT_DEVICE T atomic_add(T* p, std::type_identity_t<T> v) {
  return atomicAdd(p, v);
}

// Four 8x8 matrices of 16-bit elements: lane 8j + r gives the address of row r of matrix j, register j of lane 4g + t gets
// its elements (g, 2t) and (g, 2t + 1); transposed, (2t, g) and (2t + 1, g).
ZT_DEVICE U4 ldsm4(saddr a) {
  U4 r;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r.x), "=r"(r.y), "=r"(r.z), "=r"(r.w)
               : "r"(a.at)
               : "memory");
  return r;
}
ZT_DEVICE U4 ldsm4t(saddr a) {
  U4 r;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r.x), "=r"(r.y), "=r"(r.z), "=r"(r.w)
               : "r"(a.at)
               : "memory");
  return r;
}

// c[16x8] += a[16x16] b[16x8], E is Bf16 or F16. Lane 4g + t holds of a rows g (x, z) and g + 8 (y, w), columns 2t (x, y) and
// 2t + 8 (z, w); of b column g, rows 2t (b0) and 2t + 8 (b1); of c rows g (0, 1) and g + 8 (2, 3), columns 2t and 2t + 1.
template <class E>
ZT_DEVICE void mma16816(F4& c, U4 a, uint32_t b0, uint32_t b1) {
  if constexpr (std::is_same_v<E, Bf16>) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c.x), "+f"(c.y), "+f"(c.z), "+f"(c.w)
        : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1));
  } else {
    static_assert(std::is_same_v<E, F16>);
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c.x), "+f"(c.y), "+f"(c.z), "+f"(c.w)
        : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1));
  }
}

// 16 bytes to shared memory behind the program's back; zeros without `keep`, and then the source is not read. It has landed,
// for this lane, when cp_wait<N> finds its group older than the newest N.
template <class T>
ZT_DEVICE void cp_async16(saddr dst, T* src, bool keep) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(dst.at), "l"(__cvta_generic_to_global(src)), "r"(keep ? 16 : 0)
               : "memory");
}
ZT_DEVICE void cp_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N>
ZT_DEVICE void cp_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

// Subnormals count as zero; exp2(-inf) = 0.
ZT_DEVICE float exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
ZT_DEVICE float log2(float x) {
  float y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
ZT_DEVICE float rcp(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
ZT_DEVICE float rsqrt(float x) {
  float y;
  asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
// The one that is not NaN, if the other is.
ZT_DEVICE float max(float a, float b) { return fmaxf(a, b); }
ZT_DEVICE float min(float a, float b) { return fminf(a, b); }
ZT_DEVICE float fma(float a, float b, float c) { return __fmaf_rn(a, b, c); }
ZT_DEVICE float sqrt(float x) { return __fsqrt_rn(x); }
ZT_DEVICE float div(float a, float b) { return __fdiv_rn(a, b); }
ZT_DEVICE float float_of(uint32_t bits) { return __uint_as_float(bits); }
ZT_DEVICE uint32_t bits_of(float x) { return __float_as_uint(x); }
ZT_DEVICE int popc(uint32_t x) { return __popc(x); }

// Two floats as elements of a register, `low` in the low half; round to nearest even.
template <class E>
ZT_DEVICE uint32_t pack(float low, float high) {
  uint32_t r;
  if constexpr (std::is_same_v<E, Bf16>) {
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  } else {
    static_assert(std::is_same_v<E, F16>);
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  }
  return r;
}
template <class E>
ZT_DEVICE float to_float(E e) {
  if constexpr (std::is_same_v<E, float>) {
    return e;
  } else if constexpr (std::is_same_v<E, Bf16>) {
    return __uint_as_float(uint32_t(e.bits) << 16);
  } else {
    static_assert(std::is_same_v<E, F16>);
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(e.bits));
    return y;
  }
}
template <class E>
ZT_DEVICE E from_float(float x) {
  if constexpr (std::is_same_v<E, float>) {
    return x;
  } else {
    return E{uint16_t(pack<E>(x, 0.f))};
  }
}

// The stream work is queued in, and how starting it went: 0 is well, else a cudaError_t.
using Stream = cudaStream_t;
using Error = int;

template <class K>
__global__ void __launch_bounds__(K::kThreads, K::kMinBlocks) entry(const __grid_constant__ typename K::Params p) {
  K::run(p);
}

// Above 48 KiB a kernel must ask for its shared memory; a device that has less says so here.
template <class K>
inline Error launch(Stream stream, Grid grid, uint32_t shared_size, const typename K::Params& p) {
  if (shared_size > 48 * 1024) {
    cudaError_t e = cudaFuncSetAttribute(entry<K>, cudaFuncAttributeMaxDynamicSharedMemorySize, int(shared_size));
    if (e != cudaSuccess) return Error(e);
  }
  entry<K><<<dim3(grid.x, grid.y, grid.z), K::kThreads, shared_size, stream>>>(p);
  return Error(cudaGetLastError());
}

}  // namespace zt::hw
