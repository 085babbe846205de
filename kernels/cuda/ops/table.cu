#include "kernels/cuda/attention/executor.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/ops/table.cuh"

namespace zt {

void add_cuda_ops(OpTable& table) {
  table.attention.push_back(cuda::make_flash_attention());
  cuda::add_ops(table);
  // Behind one that takes everything: chosen by name only, since which shapes the library takes is not known before it is asked.
  table.attention.push_back(cuda::make_cudnn_attention());
}

}  // namespace zt
