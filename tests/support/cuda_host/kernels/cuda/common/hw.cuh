// Host half of the hardware words: the same names as in kernels/cuda/common/hw.cuh, executed under the checks of machine.h. Words
// that can fail take the place of their call as a defaulted argument; calls look alike in both halves.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "kernels/core/dtype.h"
#include "kernels/cuda/common/types.h"
#include "tests/support/cuda_host/layouts.h"
#include "tests/support/cuda_host/machine.h"

#define ZT_DEVICE inline
#define ZT_UNROLL
#define ZT_NO_UNROLL

namespace zt::hw {

using Loc = std::source_location;

namespace host {
// The machine that launch() uses on this OS thread; null without a Session.
inline cuda_host::Machine*& current_machine() {
  static thread_local cuda_host::Machine* m = nullptr;
  return m;
}
// The one that is running.
inline cuda_host::Machine& machine() { return cuda_host::Machine::current(); }
}  // namespace host

// Arithmetic is that of integers, so an address outside may be formed; touching one is a fault.
template <class T>
class gptr {
 public:
  gptr() = default;
  gptr(std::nullptr_t) {}  // NOLINT: as a pointer
  gptr(cuda_host::Allocation* a, uintptr_t at) : allocation_(a), at_(at) {}
  template <class U>
    requires(std::is_const_v<T> && std::is_same_v<const U, T>)
  gptr(const gptr<U>& o) : allocation_(o.allocation()), at_(o.address()) {}  // NOLINT: as a pointer
  explicit operator bool() const { return at_ != 0; }
  gptr operator+(int64_t n) const { return {allocation_, at_ + uintptr_t(n) * sizeof(T)}; }
  gptr operator-(int64_t n) const { return *this + -n; }
  gptr& operator+=(int64_t n) { return *this = *this + n; }
  bool operator==(const gptr&) const = default;
  cuda_host::Allocation* allocation() const { return allocation_; }
  uintptr_t address() const { return at_; }

 private:
  cuda_host::Allocation* allocation_ = nullptr;
  uintptr_t at_ = 0;
};

// Of an address in the memory of the Session.
template <class T>
gptr<T> global(void* p) {
  const auto& memory = host::current_machine()->memory();
  return {p ? memory.find(p) : nullptr, p ? memory.place(p) : 0};
}
template <class T>
gptr<const T> global(const void* p) {
  const auto& memory = host::current_machine()->memory();
  return {p ? memory.find(p) : nullptr, p ? memory.place(p) : 0};
}
template <class To, class From>
gptr<To> as(gptr<From> p) {
  return {p.allocation(), p.address()};
}

inline int thread() { return int(host::machine().thread()); }
inline int block_x() { return int(host::machine().block().x); }
inline int block_y() { return int(host::machine().block().y); }
inline int block_z() { return int(host::machine().block().z); }
inline int grid_x() { return int(host::machine().grid().x); }
inline int grid_y() { return int(host::machine().grid().y); }

inline void sync_block(Loc at = Loc::current()) { host::machine().sync_block(at); }
inline void sync_warp(Loc at = Loc::current()) { host::machine().sync_warp(at); }

namespace host {
template <class T, class Source>
T exchange(const char* word, T v, int argument, Source source, const Loc& at) {
  struct Operand {
    T in, out;
    int argument;
  } mine{v, v, argument};
  auto& m = host::machine();
  int lane = int(m.thread() % 32);
  if (void* const* all = m.meet(word, &mine, at)) {
    auto of = [&](int l) { return static_cast<Operand*>(all[l]); };
    for (int l = 0; l < 32; ++l) {
      if (of(l)->argument != of(lane)->argument && argument >= 0) m.fail(cuda_host::FaultKind::divergence, at, "lanes disagree on the operand");
      of(l)->out = of(source(l, of(l)->argument))->in;
    }
    m.part();
  }
  return mine.out;
}
void mma(bool is_bf16, F4& c, U4 a, uint32_t b0, uint32_t b1, const Loc& at);
U4 ldsm(bool transposed, saddr a, const Loc& at);
inline float flush(float x) { return std::abs(x) < std::numeric_limits<float>::min() ? std::copysign(0.f, x) : x; }
}  // namespace host

template <class T>
T shfl_xor(T v, int mask, Loc at = Loc::current()) {
  return host::exchange("shfl_xor", v, mask, [](int lane, int m) { return (lane ^ m) & 31; }, at);
}
template <class T>
T shfl(T v, int lane, Loc at = Loc::current()) {
  return host::exchange("shfl", v, -1 - (lane & 31), [](int, int l) { return -1 - l; }, at);
}
template <class T>
T shfl_up(T v, int by, Loc at = Loc::current()) {
  return host::exchange("shfl_up", v, by, [](int lane, int n) { return lane < n ? lane : lane - n; }, at);
}
inline uint32_t ballot(bool p, Loc at = Loc::current()) {
  struct Operand {
    bool in;
    uint32_t out;
  } mine{p, 0};
  auto& m = host::machine();
  if (void* const* all = m.meet("vote", &mine, at)) {
    uint32_t bits = 0;
    for (int l = 0; l < 32; ++l) bits |= uint32_t(static_cast<Operand*>(all[l])->in) << l;
    for (int l = 0; l < 32; ++l) static_cast<Operand*>(all[l])->out = bits;
    m.part();
  }
  return mine.out;
}
inline bool any(bool p, Loc at = Loc::current()) { return ballot(p, at) != 0; }

inline saddr shared() { return {0}; }
template <class T>
T lds(saddr a, Loc at = Loc::current()) {
  static_assert(sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8 || sizeof(T) == 16);
  T v;
  std::memcpy(&v, host::machine().load_shared(a, sizeof(T), at), sizeof(T));
  return v;
}
template <class T>
void sts(saddr a, T v, Loc at = Loc::current()) {
  static_assert(sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8 || sizeof(T) == 16);
  std::memcpy(host::machine().store_shared(a, sizeof(T), at), &v, sizeof(T));
}
inline int atomic_add_shared(saddr a, int v, Loc at = Loc::current()) {
  int old;
  unsigned char* p = host::machine().atomic_shared(a, 4, at);
  std::memcpy(&old, p, 4);
  int sum = int(uint32_t(old) + uint32_t(v));
  std::memcpy(p, &sum, 4);
  return old;
}

template <class T>
std::remove_const_t<T> ldg(gptr<T> p, Loc at = Loc::current()) {
  std::remove_const_t<T> v;
  std::memcpy(&v, host::machine().load_global(p.allocation(), p.address(), sizeof(T), at), sizeof(T));
  return v;
}
template <class T>
void stg(gptr<T> p, std::type_identity_t<T> v, Loc at = Loc::current()) {
  std::memcpy(host::machine().store_global(p.allocation(), p.address(), sizeof(T), at), &v, sizeof(T));
}
template <class T>
T atomic_add(gptr<T> p, std::type_identity_t<T> v, Loc at = Loc::current()) {
  T old;
  unsigned char* data = host::machine().atomic_global(p.allocation(), p.address(), sizeof(T), at);
  std::memcpy(&old, data, sizeof(T));
  T sum = old + v;
  std::memcpy(data, &sum, sizeof(T));
  return old;
}

inline U4 ldsm4(saddr a, Loc at = Loc::current()) { return host::ldsm(false, a, at); }
inline U4 ldsm4t(saddr a, Loc at = Loc::current()) { return host::ldsm(true, a, at); }
template <class E>
void mma16816(F4& c, U4 a, uint32_t b0, uint32_t b1, Loc at = Loc::current()) {
  static_assert(std::is_same_v<E, Bf16> || std::is_same_v<E, F16>);
  host::mma(std::is_same_v<E, Bf16>, c, a, b0, b1, at);
}

template <class T>
void cp_async16(saddr dst, gptr<T> src, bool keep, Loc at = Loc::current()) {
  host::machine().copy_async(dst, src.allocation(), src.address(), keep, at);
}
inline void cp_commit() { host::machine().commit_copies(); }
template <int N>
void cp_wait(Loc at = Loc::current()) {
  host::machine().wait_copies(N, at);
}

inline float exp2(float x) { return host::flush(std::exp2(host::flush(x))); }
inline float log2(float x) { return host::flush(std::log2(host::flush(x))); }
inline float rcp(float x) { return host::flush(1 / host::flush(x)); }
inline float rsqrt(float x) { return host::flush(1 / std::sqrt(host::flush(x))); }
inline float max(float a, float b) { return std::fmax(a, b); }
inline float min(float a, float b) { return std::fmin(a, b); }
inline float fma(float a, float b, float c) { return std::fma(a, b, c); }
inline float sqrt(float x) { return std::sqrt(x); }
inline float div(float a, float b) { return a / b; }
inline float float_of(uint32_t bits) { return std::bit_cast<float>(bits); }
inline uint32_t bits_of(float x) { return std::bit_cast<uint32_t>(x); }
inline int popc(uint32_t x) { return std::popcount(x); }

template <class E>
float to_float(E e) {
  if constexpr (std::is_same_v<E, float>) {
    return e;
  } else if constexpr (std::is_same_v<E, Bf16>) {
    return std::bit_cast<float>(uint32_t(e.bits) << 16);
  } else {
    static_assert(std::is_same_v<E, F16>);
    return f16_to_f32(e.bits);
  }
}
template <class E>
E from_float(float x) {
  if constexpr (std::is_same_v<E, float>) {
    return x;
  } else if constexpr (std::is_same_v<E, Bf16>) {
    return {bf16(x).bits};
  } else {
    static_assert(std::is_same_v<E, F16>);
    return {f32_to_f16(x)};
  }
}
template <class E>
uint32_t pack(float low, float high) {
  return uint32_t(from_float<E>(low).bits) | uint32_t(from_float<E>(high).bits) << 16;
}

struct HostStream;
using Stream = HostStream*;  // everything runs at once
using Error = int;

template <class K>
Error launch(Stream, Grid grid, uint32_t shared_size, const typename K::Params& p) {
  static_assert(K::kMinBlocks >= 1);
  host::current_machine()->launch(grid, uint32_t(K::kThreads), shared_size, [&] { K::run(p); });
  return 0;
}

}  // namespace zt::hw
