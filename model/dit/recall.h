// What a sparse plan loses against dense attention, measured while a clip is made: on a sample of query rows, exact
// attention beside the plan's own. It changes nothing: a clip has the same bits with the meter and without.
#pragma once

#include <span>

#include "model/dit/attend.h"

namespace zt {

// Share of the softmax of dense attention that rows keep: exp(lse of the plan - lse of dense), by definition of the
// log-sum-exp. A row without keys keeps 0.
struct KeptShare {
  double mean = 1, worst = 1;
};
KeptShare kept_share(std::span<const float> plan_lse, std::span<const float> dense_lse);

// Whether a plan is dense attention itself, so that there is nothing to measure.
bool is_exact(const AttentionPlan& plan);

// The rows of one call: kSampleBlocks runs of kSampleRows consecutive queries. They move with step and layer in long
// strides, so that a run of enough calls sees every place; both branches of a step look at the same ones.
constexpr int64_t kSampleRows = 32, kSampleBlocks = 2;
std::vector<int32_t> sample_rows(const Site& site, int64_t tokens);

// Fills recall, recall_worst and rel_l2 of every head of a self-attention's record.
class RecallMeter final : public AttentionHook {
 public:
  bool wants_lse(const Site& site, const AttentionPlan& plan) const override;
  Status after(const Site& site, const AttentionPlan& plan, const AttentionArgs& args, AttentionRecord& record,
               const ExecContext& ctx) override;
  size_t bytes(const PolicyJob& job, const ExecContext& ctx) const override;
  double seconds() const { return seconds_; }  // spent measuring

 private:
  Status prepare(const AttentionProblem& p, int64_t rows, const ExecContext& ctx);
  DensePlan dense_;
  AttentionWorkspace workspace_;
  Tensor q_, out_, exact_, lse_;
  double seconds_ = 0;
};

}  // namespace zt
