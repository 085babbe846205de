// The bodies behind add_cpu_ops.
#pragma once

#include <memory>

#include "kernels/api/conv.h"
#include "kernels/api/linear.h"
#include "kernels/api/op_table.h"
#include "kernels/api/ops.h"

namespace zt {

struct DnnlState;

void add_small_ops(OpTable& t);
std::shared_ptr<const LinearBackend> make_dnnl_linear(std::shared_ptr<DnnlState> state);
std::shared_ptr<const ConvBackend> make_dnnl_conv(std::shared_ptr<DnnlState> state);

}  // namespace zt
