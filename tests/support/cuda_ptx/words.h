// What translated PTX is written in: addresses as the instructions have them, operands that must have certain values, and results
// that C++ leaves undefined. Places in faults are lines of the PTX. Light: every translated file is compiled against it.
#pragma once

#include <array>
#include <bit>
#include <cstring>
#include <source_location>
#include <type_traits>

#include "kernels/cuda/common/types.h"
#include "tests/support/cuda_ptx/translated.h"

namespace zt::cuda_ptx {

using Loc = std::source_location;

template <class To, class From>
constexpr To bits(From x) {
  return std::bit_cast<To>(x);
}
// Of registers that nobody has set: not numbers.
constexpr float unset_f32 = bits<float>(0xffffdeadu);
constexpr double unset_f64 = bits<double>(0xffffdeadffffdeadull);

uint32_t thread_index(char axis);
uint32_t block_index(char axis);
uint32_t grid_size(char axis);

template <class T>
T least(T a, T b) {
  return b < a ? b : a;
}
template <class T>
T most(T a, T b) {
  return a < b ? b : a;
}
// A division by zero has some result on a device too; the most negative number by -1 wraps.
template <class T>
T quotient(T a, T b) {
  if (b == 0) return T(-1);
  if (b == T(-1) && T(-1) < T(0)) return T(0 - std::make_unsigned_t<T>(a));
  return T(a / b);
}
template <class T>
T remainder(T a, T b) {
  return b == 0 ? a : T(a - std::make_unsigned_t<T>(quotient(a, b)) * std::make_unsigned_t<T>(b));
}
// Counts beyond the width shift everything out.
template <class T>
T shift_left(T x, uint32_t n) {
  return n < 8 * sizeof(T) ? T(x << n) : T(0);
}
template <class T>
T shift_right(T x, uint32_t n) {
  if (n < 8 * sizeof(T)) return T(x >> n);
  return x < T(0) ? T(-1) : T(0);
}
// `length` bits of x from `first` on.
inline uint32_t extract_bits(uint32_t x, uint32_t first, uint32_t length) {
  return shift_right(x, first) & (length < 32 ? (1u << length) - 1 : ~0u);
}
// `length` bits of x over those of y from `first` on.
inline uint32_t insert_bits(uint32_t x, uint32_t y, uint32_t first, uint32_t length) {
  uint32_t mask = shift_left(length < 32 ? (1u << length) - 1 : ~0u, first);
  return (shift_left(x, first) & mask) | (y & ~mask);
}

float fused(float a, float b, float c);
double fused(double a, double b, double c);
float root(float x);
double root(double x);
float magnitude(float x);
double magnitude(double x);
float larger(float a, float b);  // the one that is not NaN, if the other is
float smaller(float a, float b);
float approx_exp2(float x);
float approx_log2(float x);
float approx_rcp(float x);
float approx_rsqrt(float x);
float of_f16(uint16_t bits);
uint32_t pack_bf16(float low, float high);
uint32_t pack_f16(float low, float high);

// The block's dynamic shared memory begins somewhere, not at 0.
constexpr uint32_t kSharedBase = 1024;

// Checked accesses, and the bytes behind them.
const void* read_param(Param p, uint64_t at, uint32_t bytes, Loc where);
const void* read_shared(uint32_t address, uint32_t bytes, Loc where);
const void* read_global(uint64_t address, uint32_t bytes, Loc where);
void* write_shared(uint32_t address, uint32_t bytes, Loc where);
void* write_global(uint64_t address, uint32_t bytes, Loc where);

template <class T, size_t N>
std::array<T, N> values_at(const void* p) {
  std::array<T, N> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class T, size_t N>
std::array<T, N> load_param(Param p, uint64_t at, Loc where = Loc::current()) {
  return values_at<T, N>(read_param(p, at, sizeof(T) * N, where));
}
template <class T, size_t N>
std::array<T, N> load_shared(uint32_t address, Loc where = Loc::current()) {
  return values_at<T, N>(read_shared(address, sizeof(T) * N, where));
}
template <class T, size_t N>
std::array<T, N> load_global(uint64_t address, Loc where = Loc::current()) {
  return values_at<T, N>(read_global(address, sizeof(T) * N, where));
}
template <class T, size_t N>
void store_shared(uint32_t address, std::array<T, N> v, Loc where = Loc::current()) {
  std::memcpy(write_shared(address, sizeof v, where), &v, sizeof v);
}
template <class T, size_t N>
void store_global(uint64_t address, std::array<T, N> v, Loc where = Loc::current()) {
  std::memcpy(write_global(address, sizeof v, where), &v, sizeof v);
}
uint32_t add_shared(uint32_t address, uint32_t v, Loc where = Loc::current());
int32_t add_global(uint64_t address, int32_t v, Loc where = Loc::current());
uint32_t add_global(uint64_t address, uint32_t v, Loc where = Loc::current());
float add_global(uint64_t address, float v, Loc where = Loc::current());
double add_global(uint64_t address, double v, Loc where = Loc::current());

void copy_async(uint32_t to, uint64_t from, uint32_t bytes, uint32_t source_bytes, Loc where = Loc::current());
void commit_copies();
void wait_copies(uint32_t newest, Loc where = Loc::current());

// Host execution knows whole warps and barrier 0 only; anything else is a fault.
void sync_block(uint32_t barrier, Loc where = Loc::current());
void sync_warp(uint32_t members, Loc where = Loc::current());
uint32_t ballot(bool p, uint32_t members, Loc where = Loc::current());
inline bool any(bool p, uint32_t members, Loc where = Loc::current()) { return ballot(p, members, where) != 0; }
// Lane i gets the value of lane i ^ by, lane `from`, or lane i - by where there is one.
uint32_t shuffle_bfly(uint32_t v, uint32_t by, uint32_t clamp, uint32_t members, Loc where = Loc::current());
uint32_t shuffle_idx(uint32_t v, uint32_t from, uint32_t clamp, uint32_t members, Loc where = Loc::current());
uint32_t shuffle_up(uint32_t v, uint32_t by, uint32_t clamp, uint32_t members, Loc where = Loc::current());
inline bool in_range_bfly(uint32_t by) { return by < 32; }
inline bool in_range_idx(uint32_t) { return true; }
inline bool in_range_up(uint32_t by) { return thread_index('x') % 32 >= by; }
hw::U4 load_matrices(bool transposed, uint32_t address, Loc where = Loc::current());
void multiply_bf16(hw::F4& c, hw::U4 a, uint32_t b0, uint32_t b1, Loc where = Loc::current());
void multiply_f16(hw::F4& c, hw::U4 a, uint32_t b0, uint32_t b1, Loc where = Loc::current());

}  // namespace zt::cuda_ptx
