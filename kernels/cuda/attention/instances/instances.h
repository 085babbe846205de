// What the instance files define: for head dimensions 64 and 128.
#pragma once

#include "kernels/cuda/attention/launch.h"

namespace zt::cuda_attention {

extern const ForwardKernel kForwardSmallBf16[2], kForwardTallBf16[2], kForwardWideBf16[2];
extern const ForwardKernel kForwardSmallF16[2], kForwardTallF16[2], kForwardWideF16[2];

}  // namespace zt::cuda_attention
