// The kernels that mutants are made of.
#pragma once

#include "kernels/cuda/attention/forward_launch.cuh"
#include "kernels/cuda/attention/instances/order.cu"

namespace zt::cuda_attention {

// Masks and values whatever the call: fewer templates to compile.
template <TileShape S>
constexpr ForwardKernel mutant_kernel() {
  return {DType::bf16, 64, S, &start_forward<hw::Bf16, 64, S, true, true>, &run_mass<hw::Bf16, 64, S>};
}

template <TileShape... S>
const ForwardKernel* find_among(const TileShape& shape) {
  static const ForwardKernel kKernels[] = {mutant_kernel<S>()...};
  for (const ForwardKernel& k : kKernels) {
    if (k.shape == shape) return &k;
  }
  return nullptr;
}

}  // namespace zt::cuda_attention
