// Attention on its own, outside a model, as `attn` and `bench attention` run it: plan, settle, run as often as wanted.
#pragma once

#include <memory>
#include <string>

#include "kernels/api/transfer.h"
#include "model/dit/attend.h"

namespace zt {

struct AttentionInputs {
  Grid grid;
  TensorView q, k, v;                 // [1, H, N, D], N the tokens of the grid
  TensorView proj_weight, proj_bias;  // of a linear part's projection, or empty
  int64_t heads() const { return q.dim(1); }
  int64_t head_dim() const { return q.dim(3); }
};

struct TimedPlan {
  PlanPtr plan;
  double seconds = 0;
};
// What a method plans for the inputs, past any dense warm-up, and the fastest of `repeat` times after an untimed one. Each is
// of a new instance, since an instance may keep what it has planned.
Result<TimedPlan> plan_attention(const std::string& spec, const AttentionInputs& in, int repeat, const ExecContext& ctx);

// One call with its memory. The inputs must outlive it.
class AttentionCall {
 public:
  // implementation: name of an executor, empty = the first that can. kInvalid says why that one cannot.
  static Result<AttentionCall> make(const AttentionInputs& in, PlanPtr plan, const std::string& implementation,
                                    const ExecContext& ctx);
  // Returns when it is done, on a device too.
  Status run(const ExecContext& ctx) {
    executor_->run(*plan_, problem_, args_, workspace_.data(), ctx);
    return wait_for_device(ctx);
  }

  const AttentionPlan& plan() const { return *plan_; }
  std::string_view implementation() const { return executor_->name(); }
  size_t workspace_bytes() const { return workspace_bytes_; }
  double flops() const { return plan_->flops(problem_.heads, problem_.head_dim); }
  TensorView out() const { return out_; }  // [1, H, N, D] of the inputs' type
  TensorView lse() const { return lse_; }  // [1, H, N] f32

 private:
  PlanPtr plan_;
  AttentionProblem problem_;
  AttentionArgs args_;
  const AttentionExecutor* executor_ = nullptr;
  size_t workspace_bytes_ = 0;
  Tensor out_, lse_, workspace_;
};

}  // namespace zt
