#include "model/dit/attend.h"

#include <chrono>

namespace zt {

Status AttentionPolicy::restore(std::string_view state) {
  if (state.empty()) return {};
  return invalid("{} remembers nothing, but its saved state holds {} bytes", name(), state.size());
}

Status AttentionDriver::attend(const Site& site, AttentionArgs args, const PlanPtr& fixed_plan, const ExecContext& ctx) {
  for (auto* hook : hooks) hook->before(site, args.q, args.k, args.v, ctx);
  PlanPtr plan = fixed_plan;
  auto asked = std::chrono::steady_clock::now();
  if (!plan) {
    PolicyInput in;
    in.site = site;
    in.heads = args.q.dim(1);
    in.q = args.q, in.k = args.k, in.v = args.v;
    in.projection = bool(args.proj_weight);
    ZT_ASSIGN_OR_RETURN(plan, policy_->plan(in, ctx));
  }
  double plan_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - asked).count();

  AttentionProblem problem;
  problem.batch = args.q.dim(0);
  problem.heads = args.q.dim(1);
  problem.head_dim = args.q.dim(3);
  problem.dtype = args.q.dtype;
  const AttentionExecutor& executor = choose_attention(*plan, problem, ctx);
  int64_t need = int64_t(executor.workspace_bytes(*plan, problem, ctx));
  if (need > 0 && (!workspace_ || workspace_.shape()[0] < need)) {
    workspace_ = Tensor();  // give the old one back first
    ZT_ASSIGN_OR_RETURN(workspace_, ctx.arena->make(DType::u8, {need}));
  }
  auto begin = std::chrono::steady_clock::now();
  {
    bool self = site.kind == AttentionKind::self;
    ProfileZone zone(ctx.profiler, self ? "attention.self" : "attention.cross",
                     double(problem.batch) * plan->flops(problem.heads, problem.head_dim));
    executor.run(*plan, problem, args, workspace_.data(), ctx);
  }
  if (records && site.kind == AttentionKind::self) {
    double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    records->push_back({site.step, site.layer, site.branch, plan->density(), s, plan_seconds});
  }
  for (auto* hook : hooks) hook->after(site, *plan, args, ctx);
  return {};
}

}  // namespace zt
