// Tiles of 128 query rows, 32 a warp: A100 and H100.
#include "kernels/cuda/attention/forward_launch.cuh"
#include "kernels/cuda/attention/instances/instances.h"

namespace zt::cuda_attention {

const ForwardKernel kForwardWideF16[2] = {forward_kernel<hw::F16, 64, kWide64>(), forward_kernel<hw::F16, 128, kWide128>()};

}  // namespace zt::cuda_attention
