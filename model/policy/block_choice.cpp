#include "model/policy/block_choice.h"

#include <algorithm>
#include <cmath>

#include "kernels/api/attention.h"

namespace zt {

int32_t share_of_blocks(double share, int64_t blocks) { return int32_t(std::floor(share * double(blocks) + 1e-9)); }

int32_t kept_count(double keep, int64_t blocks) { return std::max(1, share_of_blocks(keep, blocks)); }

Result<ClipInput> clip_input(const PolicyInput& in, std::string_view method) {
  if (!in.q || !in.k) return invalid("{}: plans from queries and keys; a grid alone does not settle its plan", method);
  if (in.q.dim(0) != 1) return invalid("{}: plans one clip at a time, this call holds {}", method, in.q.dim(0));
  if (in.q.dim(2) < 1 || in.k.dim(2) < 1)
    return invalid("{}: {} queries and {} keys, at least 1 each", method, in.q.dim(2), in.k.dim(2));
  return ClipInput{in.q.select(0, 0), in.k.select(0, 0)};
}

Result<ClipInput> clip_on_grid(const PolicyInput& in, std::string_view method) {
  ZT_ASSIGN_OR_RETURN(ClipInput clip, clip_input(in, method));
  const Grid& g = in.site.grid;
  // Sides first: their product is only safe to form once each is bounded by the tokens there are.
  bool sides = std::min({g.t, g.h, g.w}) >= 1 && std::max({g.t, g.h, g.w}) <= clip.nq();
  if (!sides || g.t * g.h > clip.nq() || g.tokens() != clip.nq() || clip.nk() != clip.nq())
    return invalid("{}: {} queries and {} keys on a grid of {}x{}x{}", method, clip.nq(), clip.nk(), g.t, g.h, g.w);
  return clip;
}

Result<Tensor> pooled_scores(const ClipInput& clip, const PlanParts& parts, const ScoreRule& rule, const ExecContext& ctx) {
  int64_t heads = clip.heads(), d = clip.head_dim();
  ZT_ASSIGN_OR_RETURN(Tensor q, ctx.arena->make(DType::f32, {heads, parts.q.count(), d}));
  ZT_ASSIGN_OR_RETURN(Tensor k, ctx.arena->make(DType::f32, {heads, parts.k.count(), d}));
  ZT_ASSIGN_OR_RETURN(Tensor scores, ctx.arena->make(DType::f32, {heads, parts.q.count(), parts.k.count()}));
  pool_blocks({clip.q, &parts.q, &parts.q_order, false, q}, ctx);
  pool_blocks({clip.k, &parts.k, &parts.k_order, rule.center, k}, ctx);
  BlockScoresArgs args{q, k, rule.scale, {}, scores};
  if (rule.share) args.share = parts.k.valid;
  block_scores(args, ctx);
  return scores;
}

Result<Tensor> block_mass_of(const ClipInput& clip, int block, const TensorView& lse, const TensorView& known_lse,
                             const ExecContext& ctx) {
  PlanPtr all = AttentionPlan::dense(clip.nq(), clip.nk(), block, block);
  int64_t heads = clip.heads(), q_blocks = all->parts().q.count(), k_blocks = all->parts().k.count();
  AttentionProblem problem{1, heads, clip.head_dim(), clip.q.dtype, 0, true};
  ZT_ASSIGN_OR_RETURN(Tensor mass, ctx.arena->make(DType::f32, {heads, q_blocks, k_blocks}));
  AttentionWorkspace workspace;
  auto one_clip = [](const TensorView& v) {
    TensorView all_clips = v.overlay(v.dtype, {1, v.dim(0), v.dim(1), v.dim(2)});
    all_clips.strides = {v.dim(0) * v.stride(0), v.stride(0), v.stride(1), v.stride(2)};
    return all_clips;
  };
  AttentionArgs args;
  args.q = one_clip(clip.q), args.k = one_clip(clip.k);
  args.lse = lse, args.mass_lse = known_lse;
  args.block_mass = mass.view().reshape({1, heads, q_blocks, k_blocks});
  ZT_RETURN_IF_ERROR(attention_forward(*all, problem, args, workspace, ctx));
  return mass;
}

Result<Tensor> highest_blocks(const TensorView& scores, std::span<const int32_t> count, const ExecContext& ctx) {
  ZT_ASSIGN_OR_RETURN(Tensor map, ctx.arena->zeros(DType::u8, scores.shape));
  select_blocks({scores, SelectRule::highest, count, 1, 1, map}, ctx);
  return map;
}

Result<PlanPtr> plan_of_map(PlanParts parts, const TensorView& map, PlanClock::time_point began, const ExecContext& ctx) {
  parts.planning_seconds += std::chrono::duration<double>(PlanClock::now() - began).count();
  return plan_from_classes(std::move(parts), map, ctx);
}

size_t pooled_bytes(const PolicyJob& job, int64_t q_blocks, int64_t k_blocks) {
  size_t heads = size_t(job.heads), pairs = heads * size_t(q_blocks * k_blocks);
  auto floats = [](size_t n) { return Arena::block_bytes(n * sizeof(float)); };
  return floats(heads * size_t(q_blocks * job.head_dim)) + floats(heads * size_t(k_blocks * job.head_dim)) + floats(pairs) +
         Arena::block_bytes(pairs);
}

size_t mass_bytes(const PolicyJob& job, int block, int64_t maps, const ExecContext& ctx) {
  int64_t n = job.grid.tokens();
  PlanPtr all = AttentionPlan::dense(n, n, block, block);
  AttentionProblem problem{1, job.heads, job.head_dim, job.dtype, 0, true};
  size_t pairs = size_t(job.heads * all->parts().q.count() * all->parts().k.count());
  return Arena::block_bytes(pairs * sizeof(float)) + size_t(maps) * Arena::block_bytes(pairs) +
         attention_workspace(*all, problem, ctx);
}

size_t lists_bytes(const PolicyJob& job, int64_t q_blocks, int64_t k_blocks, double keep) {
  size_t rows = size_t(job.heads * q_blocks);
  return rows * sizeof(int64_t) + rows * size_t(std::ceil(keep * double(k_blocks))) * sizeof(int32_t);
}

Result<size_t> workspace_bytes_of(PlanParts parts, const PolicyJob& job, const ExecContext& ctx) {
  parts.heads = 1, parts.dense = true;
  ZT_ASSIGN_OR_RETURN(PlanPtr plan, AttentionPlan::make(std::move(parts)));
  return extra_workspace(*plan, job, ctx);
}

}  // namespace zt
