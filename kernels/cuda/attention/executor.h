// Executors of the op table: our block-sparse flash attention, and cuDNN's dense one as the yardstick beside it.
#pragma once

#include <memory>

#include "kernels/api/attention.h"

namespace zt::cuda {

std::shared_ptr<const AttentionExecutor> make_flash_attention();
std::shared_ptr<const AttentionExecutor> make_cudnn_attention();

}  // namespace zt::cuda
