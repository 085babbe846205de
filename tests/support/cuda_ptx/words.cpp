// The words of translated PTX by those of the host half of hw.cuh: what C++ and PTX do together is executed by the same code.
#include "tests/support/cuda_ptx/words.h"

#include <cmath>

#include "kernels/cuda/common/hw.cuh"

namespace zt::cuda_ptx {
namespace {

using cuda_host::FaultKind;
using hw::host::machine;

uint32_t of_axis(hw::Grid g, char axis) { return axis == 'x' ? g.x : axis == 'y' ? g.y : g.z; }

hw::saddr shared_at(uint32_t address) { return {address - kSharedBase}; }

// A device address, and the allocation it lies in.
hw::gptr<unsigned char> global_at(uint64_t address) {
  return {machine().memory().find(reinterpret_cast<void*>(address)), machine().memory().place(reinterpret_cast<void*>(address))};
}

void whole_warp(uint32_t members, Loc where) {
  if (members != ~0u) machine().fail(FaultKind::divergence, where, "a meeting of some lanes of a warp");
}
// Clamps other than a whole warp's make segments of it.
void one_segment(uint32_t clamp, uint32_t whole, Loc where) {
  if (clamp != whole) machine().fail(FaultKind::divergence, where, "a shuffle in segments of a warp");
}

template <class T>
T add_to(uint64_t address, T v, Loc where) {
  return hw::atomic_add(hw::as<T>(global_at(address)), v, where);
}

}  // namespace

uint32_t thread_index(char axis) { return axis == 'x' ? machine().thread() : 0; }
uint32_t block_index(char axis) { return of_axis(machine().block(), axis); }
uint32_t grid_size(char axis) { return of_axis(machine().grid(), axis); }

float fused(float a, float b, float c) { return std::fma(a, b, c); }
double fused(double a, double b, double c) { return std::fma(a, b, c); }
float root(float x) { return std::sqrt(x); }
double root(double x) { return std::sqrt(x); }
float magnitude(float x) { return std::abs(x); }
double magnitude(double x) { return std::abs(x); }
float larger(float a, float b) { return hw::max(a, b); }
float smaller(float a, float b) { return hw::min(a, b); }
float approx_exp2(float x) { return hw::exp2(x); }
float approx_log2(float x) { return hw::log2(x); }
float approx_rcp(float x) { return hw::rcp(x); }
float approx_rsqrt(float x) { return hw::rsqrt(x); }
float of_f16(uint16_t bits) { return hw::to_float(hw::F16{bits}); }
uint32_t pack_bf16(float low, float high) { return hw::pack<hw::Bf16>(low, high); }
uint32_t pack_f16(float low, float high) { return hw::pack<hw::F16>(low, high); }

const void* read_param(Param p, uint64_t at, uint32_t bytes, Loc where) {
  if (at > p.size || p.size - at < bytes) machine().fail(FaultKind::global_bounds, where, "outside the parameters");
  return p.bytes + at;
}
const void* read_shared(uint32_t address, uint32_t bytes, Loc where) { return machine().load_shared(shared_at(address), bytes, where); }
void* write_shared(uint32_t address, uint32_t bytes, Loc where) { return machine().store_shared(shared_at(address), bytes, where); }
const void* read_global(uint64_t address, uint32_t bytes, Loc where) {
  auto p = global_at(address);
  return machine().load_global(p.allocation(), p.address(), bytes, where);
}
void* write_global(uint64_t address, uint32_t bytes, Loc where) {
  auto p = global_at(address);
  return machine().store_global(p.allocation(), p.address(), bytes, where);
}
uint32_t add_shared(uint32_t address, uint32_t v, Loc where) { return uint32_t(hw::atomic_add_shared(shared_at(address), int(v), where)); }
int32_t add_global(uint64_t address, int32_t v, Loc where) { return add_to(address, v, where); }
uint32_t add_global(uint64_t address, uint32_t v, Loc where) { return add_to(address, v, where); }
float add_global(uint64_t address, float v, Loc where) { return add_to(address, v, where); }
double add_global(uint64_t address, double v, Loc where) { return add_to(address, v, where); }

void copy_async(uint32_t to, uint64_t from, uint32_t bytes, uint32_t source_bytes, Loc where) {
  if (bytes != 16 || (source_bytes != 0 && source_bytes != 16)) machine().fail(FaultKind::align, where, "a copy of other than 16 or 0 bytes");
  hw::cp_async16(shared_at(to), global_at(from), source_bytes != 0, where);
}
void commit_copies() { hw::cp_commit(); }
void wait_copies(uint32_t newest, Loc where) { machine().wait_copies(newest, where); }

void sync_block(uint32_t barrier, Loc where) {
  if (barrier != 0) machine().fail(FaultKind::divergence, where, "another barrier than 0");
  hw::sync_block(where);
}
void sync_warp(uint32_t members, Loc where) {
  whole_warp(members, where);
  hw::sync_warp(where);
}
uint32_t ballot(bool p, uint32_t members, Loc where) {
  whole_warp(members, where);
  return hw::ballot(p, where);
}
uint32_t shuffle_bfly(uint32_t v, uint32_t by, uint32_t clamp, uint32_t members, Loc where) {
  whole_warp(members, where), one_segment(clamp, 31, where);
  return hw::shfl_xor(v, int(by), where);
}
uint32_t shuffle_idx(uint32_t v, uint32_t from, uint32_t clamp, uint32_t members, Loc where) {
  whole_warp(members, where), one_segment(clamp, 31, where);
  return hw::shfl(v, int(from), where);
}
uint32_t shuffle_up(uint32_t v, uint32_t by, uint32_t clamp, uint32_t members, Loc where) {
  whole_warp(members, where), one_segment(clamp, 0, where);
  return hw::shfl_up(v, int(by), where);
}
hw::U4 load_matrices(bool transposed, uint32_t address, Loc where) {
  return transposed ? hw::ldsm4t(shared_at(address), where) : hw::ldsm4(shared_at(address), where);
}
void multiply_bf16(hw::F4& c, hw::U4 a, uint32_t b0, uint32_t b1, Loc where) { hw::mma16816<hw::Bf16>(c, a, b0, b1, where); }
void multiply_f16(hw::F4& c, hw::U4 a, uint32_t b0, uint32_t b1, Loc where) { hw::mma16816<hw::F16>(c, a, b0, b1, where); }

}  // namespace zt::cuda_ptx
