// The bodies behind add_cpu_ops.
#pragma once

#include <memory>

#include "kernels/api/conv.h"
#include "kernels/api/linear.h"
#include "kernels/api/ops.h"

namespace zt {

struct DnnlState;

std::shared_ptr<const LinearBackend> make_dnnl_linear(std::shared_ptr<DnnlState> state);
std::shared_ptr<const ConvBackend> make_dnnl_conv(std::shared_ptr<DnnlState> state);

}  // namespace zt
