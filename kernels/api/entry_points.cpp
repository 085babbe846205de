// The entry points: choose a candidate, run it.
#include "kernels/api/attention.h"
#include "kernels/api/checks.h"
#include "kernels/api/conv.h"
#include "kernels/api/linear.h"
#include "kernels/api/op_table.h"
#include "kernels/api/ops.h"
#include "kernels/api/select.h"
#include "kernels/api/transfer.h"
#include "kernels/plan/plan_build.h"

namespace zt {

const AttentionExecutor& choose_attention(const AttentionPlan& plan, const AttentionProblem& p, const ExecContext& ctx) {
  for (const auto& e : ctx.ops->attention) {
    if (e->why_not(plan, p, ctx).empty()) return *e;
  }
  throw Bug("no attention executor takes this plan; `ref` must be the last one");
}

size_t attention_workspace(const AttentionPlan& plan, const AttentionProblem& p, const ExecContext& ctx) {
  return Arena::block_bytes(choose_attention(plan, p, ctx).workspace_bytes(plan, p, ctx));
}

Status AttentionWorkspace::fit(const AttentionExecutor& executor, const AttentionPlan& plan, const AttentionProblem& p,
                               const ExecContext& ctx) {
  int64_t need = int64_t(executor.workspace_bytes(plan, p, ctx));
  if (need == 0 || (memory_ && memory_.shape()[0] >= need)) return {};
  memory_ = Tensor();
  ZT_ASSIGN_OR_RETURN(memory_, ctx.arena->make(DType::u8, {need}));
  return {};
}

Status attention_forward(const AttentionPlan& plan, const AttentionProblem& p, const AttentionArgs& args,
                         AttentionWorkspace& workspace, const ExecContext& ctx) {
  const AttentionExecutor& executor = choose_attention(plan, p, ctx);
  ZT_RETURN_IF_ERROR(workspace.fit(executor, plan, p, ctx));
  executor.run(plan, p, args, workspace.data(), ctx);
  return {};
}

void attention_forward(const AttentionPlan& plan, const AttentionProblem& p, const AttentionArgs& args, void* workspace,
                       const ExecContext& ctx) {
  choose_attention(plan, p, ctx).run(plan, p, args, workspace, ctx);
}

Result<std::unique_ptr<PackedLinear>> pack_linear(const LinearDesc& d, std::span<const LinearRows> rows, const ExecContext& ctx) {
  check_pack(d, rows);
  for (const auto& b : ctx.ops->linear) {
    if (b->why_not(d, ctx).empty()) return b->pack(d, rows, ctx);
  }
  throw Bug("no linear back end takes this description");
}

size_t packed_linear_bytes(const LinearDesc& d) {
  // Panels are padded to 64 columns and pairs of inputs, on a device rows to 16 bytes; the bias is f32, there bf16 too.
  size_t out = size_t(d.out + 63) / 64 * 64, row = (size_t(d.in) * dtype_size(d.compute) + 15) / 16 * 16;
  return out * row + size_t(d.out) * 6;
}

ConvSize conv_out_size(const ConvDesc& d, int64_t h, int64_t w) {
  switch (d.space) {
    case ConvSpace::down2: return {(h + 1 - d.kh) / 2 + 1, (w + 1 - d.kw) / 2 + 1};
    case ConvSpace::up2_nearest: return {2 * h, 2 * w};
    default: return {h, w};
  }
}

namespace {
const ConvBackend& choose_conv(const ConvDesc& d, const ExecContext& ctx) {
  for (const auto& b : ctx.ops->conv) {
    if (b->why_not(d, ctx).empty()) return *b;
  }
  throw Bug("no convolution back end takes this description");
}
}  // namespace

Result<std::unique_ptr<PackedConv>> pack_conv(const ConvDesc& d, const TensorView& weight, const TensorView& bias,
                                              const ExecContext& ctx) {
  check_pack(d, weight, bias);
  return choose_conv(d, ctx).pack(d, weight, bias, ctx);
}

ConvBytes conv_bytes(const ConvDesc& d, int64_t h, int64_t w, const ExecContext& ctx) { return choose_conv(d, ctx).bytes(d, h, w, ctx); }

namespace {
template <class Args>
void checked(const Candidates<Args>& list, const Args& args, const ExecContext& ctx) {
  check_args(args);
  dispatch(list, args, ctx);
}
}  // namespace

void norm(const NormArgs& a, const ExecContext& ctx) { checked(ctx.ops->norm, a, ctx); }
void qk_norm_rope(const QkNormRopeArgs& a, const ExecContext& ctx) { checked(ctx.ops->qk_norm_rope, a, ctx); }
void channel_norm(const ChannelNormArgs& a, const ExecContext& ctx) { checked(ctx.ops->channel_norm, a, ctx); }
void bias_attention(const BiasAttentionArgs& a, const ExecContext& ctx) { checked(ctx.ops->bias_attention, a, ctx); }
void elementwise(const ElementwiseArgs& a, const ExecContext& ctx) { checked(ctx.ops->elementwise, a, ctx); }
void affine_sum(const AffineSumArgs& a, const ExecContext& ctx) { checked(ctx.ops->affine_sum, a, ctx); }
void patchify(const PatchifyArgs& a, const ExecContext& ctx) { checked(ctx.ops->patchify, a, ctx); }
void unpatchify(const UnpatchifyArgs& a, const ExecContext& ctx) { checked(ctx.ops->unpatchify, a, ctx); }
void gather_rows(const GatherRowsArgs& a, const ExecContext& ctx) { checked(ctx.ops->gather_rows, a, ctx); }
void pool_blocks(const PoolBlocksArgs& a, const ExecContext& ctx) { checked(ctx.ops->pool_blocks, a, ctx); }
void block_scores(const BlockScoresArgs& a, const ExecContext& ctx) { checked(ctx.ops->block_scores, a, ctx); }
void select_blocks(const SelectBlocksArgs& a, const ExecContext& ctx) { checked(ctx.ops->select_blocks, a, ctx); }
void kept_mass(const KeptMassArgs& a, const ExecContext& ctx) { checked(ctx.ops->kept_mass, a, ctx); }
void head_errors(const HeadErrorsArgs& a, const ExecContext& ctx) { checked(ctx.ops->head_errors, a, ctx); }
void merge_partials(const MergePartialsArgs& a, const ExecContext& ctx) { checked(ctx.ops->merge_partials, a, ctx); }

Result<PlanPtr> plan_from_classes(PlanParts parts, const TensorView& map, const ExecContext& ctx) {
  ZT_CHECK(map.rank() == 3 && map.dense());
  ZT_ASSIGN_OR_RETURN(HostCopy classes, to_host(map, ctx));
  return plan_from_class_map(std::move(parts), {classes.view.as<uint8_t>(), size_t(map.count())});
}

}  // namespace zt
