// Tiles of 128 query rows, 16 a warp: cards whose tensor unit is slow beside shared memory.
#include "kernels/cuda/attention/forward_launch.cuh"
#include "kernels/cuda/attention/instances/instances.h"

namespace zt::cuda_attention {

const ForwardKernel kForwardTallF16[2] = {forward_kernel<hw::F16, 64, kTall64>(), forward_kernel<hw::F16, 128, kTall128>()};

}  // namespace zt::cuda_attention
