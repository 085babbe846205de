// The bodies behind add_ref_ops, one file each.
#pragma once

#include <memory>

#include "kernels/api/conv.h"
#include "kernels/api/linear.h"
#include "kernels/api/ops.h"
#include "kernels/api/select.h"

namespace zt {

void ref_norm(const NormArgs& a, const ExecContext& ctx);
void ref_qk_norm_rope(const QkNormRopeArgs& a, const ExecContext& ctx);
void ref_channel_norm(const ChannelNormArgs& a, const ExecContext& ctx);
void ref_bias_attention(const BiasAttentionArgs& a, const ExecContext& ctx);
void ref_elementwise(const ElementwiseArgs& a, const ExecContext& ctx);
void ref_affine_sum(const AffineSumArgs& a, const ExecContext& ctx);
void ref_patchify(const PatchifyArgs& a, const ExecContext& ctx);
void ref_unpatchify(const UnpatchifyArgs& a, const ExecContext& ctx);
void ref_gather_rows(const GatherRowsArgs& a, const ExecContext& ctx);
void ref_pool_blocks(const PoolBlocksArgs& a, const ExecContext& ctx);
void ref_block_scores(const BlockScoresArgs& a, const ExecContext& ctx);
void ref_select_blocks(const SelectBlocksArgs& a, const ExecContext& ctx);
void ref_kept_mass(const KeptMassArgs& a, const ExecContext& ctx);
void ref_head_errors(const HeadErrorsArgs& a, const ExecContext& ctx);
void ref_merge_partials(const MergePartialsArgs& a, const ExecContext& ctx);
std::shared_ptr<const LinearBackend> make_ref_linear();
std::shared_ptr<const ConvBackend> make_ref_conv();

// Element [r, c] of a matrix with any row stride.
inline double element(const TensorView& v, int64_t r, int64_t c) {
  return double(load_float(v.data, v.dtype, r * v.stride(0) + c * v.stride(1)));
}
inline void set_element(const TensorView& v, int64_t r, int64_t c, double value) {
  store_float(v.data, v.dtype, r * v.stride(0) + c * v.stride(1), float(value));
}

}  // namespace zt
