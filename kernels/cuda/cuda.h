// What the CUDA back end puts into the table of a device (kernels/cuda/runtime/device.h).
#pragma once

#include "kernels/api/op_table.h"

namespace zt {

void add_cuda_ops(OpTable& table);  // all of it

}  // namespace zt
