// What translated PTX is written in, beside the words of the host half of hw.cuh: addresses as the instructions have them,
// operands that must have certain values, and results that C++ leaves undefined. Places in faults are lines of the PTX.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/cuda/common/hw.cuh"
#include "tests/support/cuda_ptx/translated.h"

namespace zt::cuda_ptx {

using Loc = std::source_location;
using cuda_host::FaultKind;
using hw::host::machine;

template <class To, class From>
constexpr To bits(From x) {
  return std::bit_cast<To>(x);
}

// Of registers that nobody has set: not numbers.
constexpr float unset_f32 = bits<float>(0xffffdeadu);
constexpr double unset_f64 = bits<double>(0xffffdeadffffdeadull);

inline uint32_t thread_index(char axis) { return axis == 'x' ? machine().thread() : 0; }
inline uint32_t of_axis(hw::Grid g, char axis) { return axis == 'x' ? g.x : axis == 'y' ? g.y : g.z; }
inline uint32_t block_index(char axis) { return of_axis(machine().block(), axis); }
inline uint32_t grid_size(char axis) { return of_axis(machine().grid(), axis); }

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
  return T(x >> std::min<uint32_t>(n, 8 * sizeof(T) - 1)) >> (n < 8 * sizeof(T) || T(-1) < T(0) ? 0 : 1);
}
// `length` bits of x over those of y from `first` on.
inline uint32_t insert_bits(uint32_t x, uint32_t y, uint32_t first, uint32_t length) {
  uint32_t mask = shift_left(length < 32 ? (1u << length) - 1 : ~0u, first);
  return (shift_left(x, first) & mask) | (y & ~mask);
}

// The block's dynamic shared memory begins somewhere, not at 0.
constexpr uint32_t kSharedBase = 1024;
inline hw::saddr shared_at(uint32_t address) { return {address - kSharedBase}; }

template <class T, size_t N>
std::array<T, N> load_param(Param p, uint64_t at, Loc where = Loc::current()) {
  std::array<T, N> v;
  if (at > p.size || p.size - at < sizeof v) machine().fail(FaultKind::global_bounds, where, "outside the parameters");
  std::memcpy(&v, p.bytes + at, sizeof v);
  return v;
}
template <class T, size_t N>
std::array<T, N> load_shared(uint32_t address, Loc where = Loc::current()) {
  std::array<T, N> v;
  std::memcpy(&v, machine().load_shared(shared_at(address), sizeof v, where), sizeof v);
  return v;
}
template <class T, size_t N>
void store_shared(uint32_t address, std::array<T, N> v, Loc where = Loc::current()) {
  std::memcpy(machine().store_shared(shared_at(address), sizeof v, where), &v, sizeof v);
}

// A device address, and the allocation it lies in.
inline hw::gptr<unsigned char> global_at(uint64_t address) {
  return {machine().memory().find(reinterpret_cast<void*>(address)), machine().memory().place(reinterpret_cast<void*>(address))};
}
template <class T, size_t N>
std::array<T, N> load_global(uint64_t address, Loc where = Loc::current()) {
  std::array<T, N> v;
  auto p = global_at(address);
  std::memcpy(&v, machine().load_global(p.allocation(), p.address(), sizeof v, where), sizeof v);
  return v;
}
template <class T, size_t N>
void store_global(uint64_t address, std::array<T, N> v, Loc where = Loc::current()) {
  auto p = global_at(address);
  std::memcpy(machine().store_global(p.allocation(), p.address(), sizeof v, where), &v, sizeof v);
}
template <class T>
T add_global(uint64_t address, T v, Loc where = Loc::current()) {
  return hw::atomic_add(hw::as<T>(global_at(address)), v, where);
}
template <class T>
T add_shared(uint32_t address, T v, Loc where = Loc::current()) {
  return T(hw::atomic_add_shared(shared_at(address), int(v), where));
}

inline void copy_async(uint32_t to, uint64_t from, uint32_t bytes, uint32_t source_bytes, Loc where = Loc::current()) {
  if (bytes != 16 || (source_bytes != 0 && source_bytes != 16)) machine().fail(FaultKind::align, where, "a copy of other than 16 or 0 bytes");
  hw::cp_async16(shared_at(to), global_at(from), source_bytes != 0, where);
}
inline void wait_copies(uint32_t newest, Loc where = Loc::current()) { machine().wait_copies(newest, where); }

// Host execution knows whole warps and barrier 0 only.
inline void whole_warp(uint32_t members, Loc where) {
  if (members != ~0u) machine().fail(FaultKind::divergence, where, "a meeting of some lanes of a warp");
}
inline void sync_block(uint32_t barrier, Loc where = Loc::current()) {
  if (barrier != 0) machine().fail(FaultKind::divergence, where, "another barrier than 0");
  hw::sync_block(where);
}
inline void sync_warp(uint32_t members, Loc where = Loc::current()) {
  whole_warp(members, where);
  hw::sync_warp(where);
}
inline uint32_t ballot(bool p, uint32_t members, Loc where = Loc::current()) {
  whole_warp(members, where);
  return hw::ballot(p, where);
}
inline bool any(bool p, uint32_t members, Loc where = Loc::current()) { return ballot(p, members, where) != 0; }

// Lane i gets the value of lane i ^ by, lane `from`, or lane i - by where there is one. Clamps other than a whole warp's make
// segments of it.
inline void one_segment(uint32_t clamp, uint32_t whole, Loc where) {
  if (clamp != whole) machine().fail(FaultKind::divergence, where, "a shuffle in segments of a warp");
}
inline uint32_t shuffle_bfly(uint32_t v, uint32_t by, uint32_t clamp, uint32_t members, Loc where = Loc::current()) {
  whole_warp(members, where), one_segment(clamp, 31, where);
  return hw::shfl_xor(v, int(by), where);
}
inline uint32_t shuffle_idx(uint32_t v, uint32_t from, uint32_t clamp, uint32_t members, Loc where = Loc::current()) {
  whole_warp(members, where), one_segment(clamp, 31, where);
  return hw::shfl(v, int(from), where);
}
inline uint32_t shuffle_up(uint32_t v, uint32_t by, uint32_t clamp, uint32_t members, Loc where = Loc::current()) {
  whole_warp(members, where), one_segment(clamp, 0, where);
  return hw::shfl_up(v, int(by), where);
}
inline bool in_range_bfly(uint32_t by) { return by < 32; }
inline bool in_range_idx(uint32_t) { return true; }
inline bool in_range_up(uint32_t by) { return machine().thread() % 32 >= by; }

}  // namespace zt::cuda_ptx
