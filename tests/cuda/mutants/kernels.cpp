// Of mutants that run as C++.
#include "tests/cuda/mutants/kernels.cuh"

namespace zt::cuda_attention {

const ForwardKernel* find_forward(DType, int, const TileShape& shape) {
  return find_among<kSmall64, TileShape{64, 32, 4, 3, false, 2}>(shape);
}

}  // namespace zt::cuda_attention
