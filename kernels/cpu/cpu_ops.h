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
void add_select_ops(OpTable& t);
std::shared_ptr<const LinearBackend> make_dnnl_linear(std::shared_ptr<DnnlState> state);
std::shared_ptr<const ConvBackend> make_dnnl_conv(std::shared_ptr<DnnlState> state);

// Convolutions to three channels or fewer, by way of `backend` (thin_conv.cpp).
bool is_thin(const ConvDesc& d);
Result<std::unique_ptr<PackedConv>> pack_thin_conv(const ConvBackend& backend, const ConvDesc& d, const TensorView& weight,
                                                   const TensorView& bias, const ExecContext& ctx);
ConvBytes thin_conv_bytes(const ConvBackend& backend, const ConvDesc& d, int64_t h, int64_t w, const ExecContext& ctx);

}  // namespace zt
