// One entry point for every attention method on every back end: softmax(q k^T * scale + bias) v over the kept
// pairs of a plan, and its linear part. Plan, then run: `choose_attention` settles implementation and workspace; running cannot fail.
#pragma once

#include <string>

#include "kernels/api/exec_context.h"
#include "kernels/plan/attention_plan.h"

namespace zt {

struct AttentionProblem {
  int64_t batch = 1, heads = 1, head_dim = 64;
  DType dtype = DType::f32;  // of q, k, v, out: f32 or bf16
  float scale = 0;           // 0 = 1 / sqrt(head_dim)
  bool block_mass = false;  // args.block_mass will be given
};

// q [B, H, Nq, D], k and v [B, H, Nk, D], out [B, H, Nq, D]; any strides with the last axis contiguous.
// lse (optional) f32 [B, H, Nq] dense: natural log of the sum of exp(logit) over kept keys, -inf for a row
// without keys. Such a row gives out = 0. NaN in q, k or v may make its own rows NaN, never other rows.
//
// Without v and out only lse and block_mass are computed, for about half the work.
struct AttentionArgs {
  TensorView q, k, v, out, lse;
  // f32 [B, H, q blocks, k blocks] dense: the probabilities of the softmax part summed over each pair of blocks, 0 where
  // the plan keeps nothing. All blocks of a query block sum to its tokens that have a key.
  TensorView block_mass{};
  // f32 [B, H, Nq] dense, or empty: block_mass is then relative to these log-sum-exps instead of this call's own, as a
  // search that reuses old ones wants it (AdaSpa, arXiv 2502.21079). A row whose value is not finite counts as 0.
  TensorView mass_lse{};
  // The projection of a linear part that has one: y = W x + b with W [D, D] and b [D], f32 dense.
  TensorView proj_weight{}, proj_bias{};
};

class AttentionExecutor {
 public:
  virtual ~AttentionExecutor() = default;
  virtual std::string_view name() const = 0;
  // Why it cannot run this, one line; empty = it can.
  virtual std::string why_not(const AttentionPlan& plan, const AttentionProblem& p, const ExecContext& ctx) const = 0;
  virtual size_t workspace_bytes(const AttentionPlan& plan, const AttentionProblem& p, const ExecContext& ctx) const = 0;
  // workspace: at least workspace_bytes, 64-byte aligned. Bit-equal for every ctx.threads.
  virtual void run(const AttentionPlan& plan, const AttentionProblem& p, const AttentionArgs& args, void* workspace,
                   const ExecContext& ctx) const = 0;
};

// First executor of the table that takes the problem (`ref` takes all).
const AttentionExecutor& choose_attention(const AttentionPlan& plan, const AttentionProblem& p, const ExecContext& ctx);

// Workspace of choose_attention(...), as the arena counts it.
size_t attention_workspace(const AttentionPlan& plan, const AttentionProblem& p, const ExecContext& ctx);

// Memory for one call after another: it grows to the largest, giving the smaller one back first.
class AttentionWorkspace {
 public:
  Status fit(const AttentionExecutor& executor, const AttentionPlan& plan, const AttentionProblem& p, const ExecContext& ctx);
  void* data() const { return memory_.data(); }

 private:
  Tensor memory_;
};

// Chooses and runs in a workspace that is made to fit.
Status attention_forward(const AttentionPlan& plan, const AttentionProblem& p, const AttentionArgs& args,
                         AttentionWorkspace& workspace, const ExecContext& ctx);

// Chooses and runs. workspace must hold choose_attention(...).workspace_bytes(...).
void attention_forward(const AttentionPlan& plan, const AttentionProblem& p, const AttentionArgs& args, void* workspace,
                       const ExecContext& ctx);

}  // namespace zt
