// Shapes of which not the whole instance file is translated, to save the time of compiling them.
#include "kernels/cuda/attention/forward_launch.cuh"

namespace zt::cuda_attention {

extern const ForwardKernel kTranslated[] = {forward_kernel<hw::F16, 64, kSmall64>(), forward_kernel<hw::Bf16, 128, kWide128>()};

}  // namespace zt::cuda_attention
