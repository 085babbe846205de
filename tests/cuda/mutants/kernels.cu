// Of mutants that go through PTX: one shape, since each is compiled three times over.
#include "tests/cuda/mutants/kernels.cuh"

namespace zt::cuda_attention {

const ForwardKernel* find_forward(DType, int, const TileShape& shape) { return find_among<kSmall64>(shape); }

}  // namespace zt::cuda_attention
