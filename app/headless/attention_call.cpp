#include "app/headless/attention_call.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "kernels/api/op_table.h"
#include "model/policy/policy.h"

namespace zt {
namespace {

Result<const AttentionExecutor*> choose(const AttentionPlan& plan, const AttentionProblem& p, const std::string& name,
                                        const ExecContext& ctx) {
  std::string names, refusals;
  for (const auto& e : ctx.ops->attention) {
    names += (names.empty() ? "" : ", ") + std::string(e->name());
    if (!name.empty() && e->name() != name) continue;
    std::string why = e->why_not(plan, p, ctx);
    if (why.empty()) return e.get();
    refusals += fmt::format("{}{} cannot run this: {}", refusals.empty() ? "" : "; ", e->name(), why);
  }
  if (refusals.empty()) return invalid("attention has no implementation '{}'; known: {}", name.substr(0, 40), names);
  return invalid("attention: {}", refusals);
}

}  // namespace

Result<TimedPlan> plan_attention(const std::string& spec, const AttentionInputs& in, int repeat, const ExecContext& ctx) {
  PolicyInput p;
  p.site.grid = in.grid;
  p.heads = in.heads();
  p.q = in.q, p.k = in.k, p.v = in.v;
  p.projection = bool(in.proj_weight);
  p.past_warm_up = true;
  TimedPlan best{nullptr, std::numeric_limits<double>::infinity()};
  ExecContext quiet = ctx;
  quiet.warn = {};
  for (int i = -1; i < repeat; ++i) {
    ZT_ASSIGN_OR_RETURN(auto policy, make_policy(spec));
    auto begin = std::chrono::steady_clock::now();
    ZT_ASSIGN_OR_RETURN(PlanPtr plan, policy->plan(p, i < 0 ? ctx : quiet));
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    ZT_RETURN_IF_ERROR(check_projection(*plan, p.projection));
    if (i < 0) best.plan = std::move(plan);
    if (i >= 0) best.seconds = std::min(best.seconds, seconds);
  }
  return best;
}

Result<AttentionCall> AttentionCall::make(const AttentionInputs& in, PlanPtr plan, const std::string& implementation,
                                          const ExecContext& ctx) {
  AttentionCall c;
  c.plan_ = std::move(plan);
  c.problem_.heads = in.heads(), c.problem_.head_dim = in.head_dim(), c.problem_.dtype = in.q.dtype;
  ZT_ASSIGN_OR_RETURN(c.executor_, choose(*c.plan_, c.problem_, implementation, ctx));
  ZT_ASSIGN_OR_RETURN(c.out_, ctx.arena->make(in.q.dtype, in.q.shape));
  ZT_ASSIGN_OR_RETURN(c.lse_, ctx.arena->make(DType::f32, {1, in.heads(), in.q.dim(2)}));
  c.workspace_bytes_ = c.executor_->workspace_bytes(*c.plan_, c.problem_, ctx);
  if (c.workspace_bytes_ > 0) {
    ZT_ASSIGN_OR_RETURN(c.workspace_, ctx.arena->make(DType::u8, {int64_t(c.workspace_bytes_)}));
  }
  c.args_.q = in.q, c.args_.k = in.k, c.args_.v = in.v, c.args_.out = c.out_, c.args_.lse = c.lse_;
  c.args_.proj_weight = in.proj_weight, c.args_.proj_bias = in.proj_bias;
  return c;
}

}  // namespace zt
