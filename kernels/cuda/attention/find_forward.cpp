#include "kernels/cuda/attention/instances/instances.h"

namespace zt::cuda_attention {

const ForwardKernel* find_forward(DType dtype, int head_dim, const TileShape& shape) {
  for (const ForwardKernel* pair : {kForwardSmallBf16, kForwardTallBf16, kForwardWideBf16, kForwardSmallF16, kForwardTallF16, kForwardWideF16}) {
    for (int i = 0; i < 2; ++i) {
      if (pair[i].dtype == dtype && pair[i].head_dim == head_dim && pair[i].shape == shape) return &pair[i];
    }
  }
  return nullptr;
}

}  // namespace zt::cuda_attention
