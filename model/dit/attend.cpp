#include "model/dit/attend.h"

#include <algorithm>
#include <chrono>

namespace zt {

Status AttentionPolicy::restore(std::string_view state) {
  if (state.empty()) return {};
  return invalid("{} remembers nothing, but its saved state holds {} bytes", name(), state.size());
}

Status check_projection(const AttentionPlan& plan, bool have_weights) {
  if (!plan.has_linear() || !plan.parts().linear->projection || have_weights) return {};
  return invalid(
      "the attention plan projects its linear part with proj_l weights, and there are none here; use a model that was "
      "trained for it, or a method without projection");
}

size_t dense_workspace(int64_t nq, int64_t nk, const AttentionProblem& p, const ExecContext& ctx) {
  // A plan holds some numbers a block. From here on a workspace grows with its tokens: it keeps the keys and values of a head.
  constexpr int64_t kPlanned = int64_t(1) << 20;
  int64_t parts = (std::max(nq, nk) + kPlanned - 1) / kPlanned;
  PlanPtr plan = AttentionPlan::dense((nq + parts - 1) / parts, (nk + parts - 1) / parts);
  return size_t(parts) * choose_attention(*plan, p, ctx).workspace_bytes(*plan, p, ctx);
}

size_t extra_workspace(const AttentionPlan& plan, const PolicyJob& job, const ExecContext& ctx) {
  AttentionProblem p{1, job.heads, job.head_dim, job.dtype};
  size_t dense = attention_workspace(*AttentionPlan::dense(plan.nq(), plan.nk()), p, ctx), own = attention_workspace(plan, p, ctx);
  return own > dense ? own - dense : 0;
}

Status AttentionDriver::attend(const Site& site, AttentionArgs args, const PlanPtr& fixed_plan, const ExecContext& ctx) {
  using Clock = std::chrono::steady_clock;
  auto seconds_since = [](Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); };
  for (auto* hook : hooks) hook->before(site, args.q, args.k, args.v, ctx);
  PlanPtr plan = fixed_plan;
  AttentionProblem problem;
  problem.batch = args.q.dim(0);
  problem.heads = args.q.dim(1);
  problem.head_dim = args.q.dim(3);
  problem.dtype = args.q.dtype;
  AttentionRecord record;
  record.step = site.step, record.layer = site.layer, record.branch = site.branch;
  if (!plan) {
    auto asked = Clock::now();
    PolicyInput in;
    in.site = site;
    in.heads = problem.heads;
    in.q = args.q, in.k = args.k, in.v = args.v;
    in.projection = bool(args.proj_weight);
    ZT_ASSIGN_OR_RETURN(plan, policy_->plan(in, ctx));
    record.plan_seconds = seconds_since(asked);
  }
  ZT_RETURN_IF_ERROR(check_projection(*plan, bool(args.proj_weight)));

  const AttentionExecutor& executor = choose_attention(*plan, problem, ctx);
  ZT_RETURN_IF_ERROR(workspace_.fit(executor, *plan, problem, ctx));
  if (!args.lse && std::any_of(hooks.begin(), hooks.end(), [&](auto* hook) { return hook->wants_lse(site, *plan); })) {
    Shape rows{problem.batch, problem.heads, args.q.dim(2)};
    if (!lse_ || lse_.shape() != rows) {
      lse_ = Tensor();
      ZT_ASSIGN_OR_RETURN(lse_, ctx.arena->make(DType::f32, rows));
    }
    args.lse = lse_;
  }
  bool self = site.kind == AttentionKind::self;
  auto begin = Clock::now();
  {
    ProfileZone zone(ctx.profiler, self ? "attention.self" : "attention.cross",
                     double(problem.batch) * plan->flops(problem.heads, problem.head_dim));
    executor.run(*plan, problem, args, workspace_.data(), ctx);
  }
  record.seconds = seconds_since(begin);
  record.density = plan->density();
  record.heads.resize(size_t(problem.heads));
  for (int64_t h = 0; h < problem.heads; ++h) record.heads[size_t(h)].density = plan->density(h);
  for (auto* hook : hooks) ZT_RETURN_IF_ERROR(hook->after(site, *plan, args, record, ctx));
  if (!fixed_plan) policy_->observe(record);
  if (records && self) records->push_back(std::move(record));
  return {};
}

}  // namespace zt
