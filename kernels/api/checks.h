// Shape and type checks of the entry points, shared by all back ends: a mismatch is a bug in the caller.
#pragma once

#include "kernels/api/attention.h"
#include "kernels/api/conv.h"
#include "kernels/api/linear.h"
#include "kernels/api/ops.h"
#include "kernels/api/select.h"

namespace zt {

void check_args(const NormArgs& a);
void check_args(const QkNormRopeArgs& a);
void check_args(const ChannelNormArgs& a);
void check_args(const BiasAttentionArgs& a);
void check_args(const ElementwiseArgs& a);
void check_args(const AffineSumArgs& a);
void check_args(const PatchifyArgs& a);
void check_args(const UnpatchifyArgs& a);
void check_args(const GatherRowsArgs& a);
void check_args(const PoolBlocksArgs& a);
void check_args(const BlockScoresArgs& a);
void check_args(const SelectBlocksArgs& a);
void check_args(const KeptMassArgs& a);
void check_args(const HeadErrorsArgs& a);
void check_args(const MergePartialsArgs& a);
void check_pack(const LinearDesc& d, std::span<const LinearRows> rows);
void check_pack(const ConvDesc& d, const TensorView& weight, const TensorView& bias);
// The arguments of an attention call, for every executor.
void check_attention(const AttentionPlan& plan, const AttentionProblem& p, const AttentionArgs& a);

}  // namespace zt
