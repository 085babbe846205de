// Tiles of 64 query rows, on every card.
#include "kernels/cuda/attention/forward_launch.cuh"
#include "kernels/cuda/attention/instances/instances.h"

namespace zt::cuda_attention {

const ForwardKernel kForwardSmallF16[2] = {forward_kernel<hw::F16, 64, kSmall64>(), forward_kernel<hw::F16, 128, kSmall128>()};

}  // namespace zt::cuda_attention
