// From a call in plain types to a launch, for the instance files.
#pragma once

#include "kernels/cuda/attention/forward.cuh"
#include "kernels/cuda/attention/launch.h"
#include "kernels/cuda/attention/mass.cuh"

namespace zt::cuda_attention {

template <class E>
constexpr DType kDType = std::is_same_v<E, hw::Bf16> ? DType::bf16 : DType::f16;

inline Strides strides_of(const Matrices& m) { return {m.batch, m.head, m.row}; }
template <class T>
hw::gptr<const T> constant(const void* p) {
  return hw::global<T>(p);
}

template <class E>
ForwardParams<E> params_of(const ForwardCall& c) {
  const DeviceTiles& t = c.tiles;
  ForwardParams<E> p;
  p.q = constant<E>(c.q.data), p.k = constant<E>(c.k.data), p.v = constant<E>(c.v.data);
  p.out = hw::global<E>(c.out.data), p.lse = hw::global<float>(static_cast<void*>(c.lse));
  p.q_at = strides_of(c.q), p.k_at = strides_of(c.k), p.v_at = strides_of(c.v), p.out_at = strides_of(c.out);
  p.heads = c.heads, p.lse_head = c.nq, p.scale = c.scale;
  p.query_tiles = constant<QueryTile>(t.query_tiles);
  p.key_tiles = constant<KeyTile>(t.key_tiles);
  p.set_of = constant<int32_t>(t.set_of);
  p.mask_row = constant<int32_t>(t.mask_row);
  p.mask_words = constant<hw::U2>(t.mask_words);
  p.mask_row_words = t.mask_row_words, p.mask_rows = t.mask_rows;
  return p;
}
inline hw::Grid grid_of(const ForwardCall& c) { return {uint32_t(c.tiles.tiles_per_set), uint32_t(c.heads), uint32_t(c.batch)}; }

template <class E, int D, TileShape S, bool EXTRAS, bool VALUES>
int start_forward(const ForwardCall& c, void* stream) {
  using Kernel = Forward<E, D, S, EXTRAS, VALUES>;
  return hw::launch<Kernel>(static_cast<hw::Stream>(stream), grid_of(c), Kernel::kShared, params_of<E>(c));
}

template <class E, int D, TileShape S>
int run_mass(const MassCall& c, void* stream) {
  using Kernel = Mass<E, D, S>;
  auto to = static_cast<hw::Stream>(stream);
  MassParams<E> p{params_of<E>(c.f), constant<int32_t>(c.q_block), constant<int32_t>(c.k_block), hw::global<float>(static_cast<void*>(c.mass)),
                  c.q_blocks, c.k_blocks};
  int64_t count = int64_t(c.f.batch) * c.f.heads * c.q_blocks * c.k_blocks;
  if (int e = hw::launch<Zero>(to, {uint32_t((count + Zero::kThreads - 1) / Zero::kThreads)}, 0, {p.mass, count})) return e;
  return hw::launch<Kernel>(to, grid_of(c.f), Kernel::kShared, p);
}

template <class E, int D, TileShape S>
int run_forward(const ForwardCall& c, void* stream) {
  if (!c.out.data) return c.tiles.extras ? start_forward<E, D, S, true, false>(c, stream) : start_forward<E, D, S, false, false>(c, stream);
  return c.tiles.extras ? start_forward<E, D, S, true, true>(c, stream) : start_forward<E, D, S, false, true>(c, stream);
}

template <class E, int D, TileShape S>
constexpr ForwardKernel forward_kernel() {
  return {kDType<E>, D, S, &run_forward<E, D, S>, &run_mass<E, D, S>};
}

}  // namespace zt::cuda_attention
