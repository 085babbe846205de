// The entry points: choose a candidate, run it.
#include "kernels/api/attention.h"
#include "kernels/api/conv.h"
#include "kernels/api/linear.h"
#include "kernels/api/op_table.h"
#include "kernels/api/ops.h"

namespace zt {

const AttentionExecutor& choose_attention(const AttentionPlan& plan, const AttentionProblem& p, const ExecContext& ctx) {
  for (const auto& e : ctx.ops->attention) {
    if (e->why_not(plan, p, ctx).empty()) return *e;
  }
  throw Bug("no attention executor takes this plan; `ref` must be the last one");
}

void attention_forward(const AttentionPlan& plan, const AttentionProblem& p, const AttentionArgs& args, void* workspace,
                       const ExecContext& ctx) {
  choose_attention(plan, p, ctx).run(plan, p, args, workspace, ctx);
}

Result<std::unique_ptr<PackedLinear>> pack_linear(const LinearDesc& d, std::span<const LinearRows> rows, const ExecContext& ctx) {
  for (const auto& b : ctx.ops->linear) {
    if (b->why_not(d, ctx).empty()) return b->pack(d, rows, ctx);
  }
  throw Bug("no linear back end takes this description");
}

size_t packed_linear_bytes(const LinearDesc& d) {
  // Panels are padded to 64 columns and pairs of inputs; the bias is f32.
  size_t out = size_t(d.out + 63) / 64 * 64, in = size_t(d.in + 1) / 2 * 2;
  return out * in * dtype_size(d.compute) + size_t(d.out) * 4;
}

Result<std::unique_ptr<PackedConv>> pack_conv(const ConvDesc& d, const TensorView& weight, const TensorView& bias,
                                              const ExecContext& ctx) {
  for (const auto& b : ctx.ops->conv) {
    if (b->why_not(d, ctx).empty()) return b->pack(d, weight, bias, ctx);
  }
  throw Bug("no convolution back end takes this description");
}

void norm(const NormArgs& a, const ExecContext& ctx) { dispatch(ctx.ops->norm, a, ctx); }
void qk_norm_rope(const QkNormRopeArgs& a, const ExecContext& ctx) { dispatch(ctx.ops->qk_norm_rope, a, ctx); }
void channel_norm(const ChannelNormArgs& a, const ExecContext& ctx) { dispatch(ctx.ops->channel_norm, a, ctx); }
void bias_attention(const BiasAttentionArgs& a, const ExecContext& ctx) { dispatch(ctx.ops->bias_attention, a, ctx); }
void elementwise(const ElementwiseArgs& a, const ExecContext& ctx) { dispatch(ctx.ops->elementwise, a, ctx); }
void affine_sum(const AffineSumArgs& a, const ExecContext& ctx) { dispatch(ctx.ops->affine_sum, a, ctx); }
void patchify(const PatchifyArgs& a, const ExecContext& ctx) { dispatch(ctx.ops->patchify, a, ctx); }
void unpatchify(const UnpatchifyArgs& a, const ExecContext& ctx) { dispatch(ctx.ops->unpatchify, a, ctx); }
void gather_rows(const GatherRowsArgs& a, const ExecContext& ctx) { dispatch(ctx.ops->gather_rows, a, ctx); }

}  // namespace zt
