// All attention of the transformer, self and cross, goes through one function, so that plans can be chosen, drawn,
// measured and hooked in one place.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/api/attention.h"

namespace zt {

enum class Branch : uint8_t { cond, uncond };
enum class AttentionKind : uint8_t { self, cross };

struct Site {
  int64_t layer = 0, layers = 1, step = 0, steps = 1;
  Branch branch = Branch::cond;
  AttentionKind kind = AttentionKind::self;
  Grid grid;  // of the queries
};

// What one head did; the last three are 1, 1 and 0 unless a RecallMeter (model/dit/recall.h) looked.
struct HeadRecord {
  double density = 1;
  double recall = 1, recall_worst = 1;  // kept share of the softmax of dense attention: mean and lowest of the rows looked at
  double rel_l2 = 0;                    // |out - exact| / |exact| over those rows
};

struct AttentionRecord {  // one call; one line a head in --report
  int64_t step = 0, layer = 0;
  Branch branch = Branch::cond;
  double density = 1, seconds = 0;
  double plan_seconds = 0;  // spent by the policy, on top of `seconds`
  std::vector<HeadRecord> heads;
};

struct PolicyJob;

// Sees q, k, v before and the output after attention; may change them in place. An empty chain is bit-identical to none.
class AttentionHook {
 public:
  virtual ~AttentionHook() = default;
  virtual void before(const Site&, TensorView& /*q*/, TensorView& /*k*/, TensorView& /*v*/, const ExecContext&) {}
  // Most that it takes in a job beyond what the job itself takes: tensors, and log-sum-exps of the calls.
  virtual size_t bytes(const PolicyJob&, const ExecContext&) const { return 0; }
  // Whether `after` reads the call's log-sum-exps: args.lse is then there.
  virtual bool wants_lse(const Site&, const AttentionPlan&) const { return false; }
  // The record is that of the call, to be added to. An error ends the run.
  virtual Status after(const Site&, const AttentionPlan&, const AttentionArgs&, AttentionRecord&, const ExecContext&) {
    return {};
  }
};

// What a policy must see before it plans; each includes the one before it.
enum class PolicyNeeds : uint8_t {
  nothing,    // the grid settles the plan
  qk,         // the queries and keys of this call
  block_mass  // a pass over all of them: probabilities summed per block pair, log-sum-exps
};

struct PolicyInput {
  Site site;
  int64_t heads = 1;
  TensorView q, k, v;         // [B, H, N, D]; empty where only the grid is known
  bool projection = false;    // the model has proj_l weights in this layer, for a linear part
  bool past_warm_up = false;  // what the method itself does, whatever its dense steps and layers
};

// All self-attentions of a job, for an estimate.
struct PolicyJob {
  Grid grid;
  int64_t layers = 1, heads = 1, head_dim = 1;
  int64_t branches = 1;  // 2 with guidance
  DType dtype = DType::f32;
  bool projection = false;  // the model has proj_l weights, for linear parts
};

// Chooses the plan of each self-attention. model/policy holds the methods; dense is the simplest. One instance a job:
// what it remembers, it keeps per layer and branch.
class AttentionPolicy {
 public:
  virtual ~AttentionPolicy() = default;
  virtual std::string_view name() const = 0;
  virtual PolicyNeeds needs() const { return PolicyNeeds::nothing; }
  virtual Result<PlanPtr> plan(const PolicyInput& in, const ExecContext& ctx) = 0;
  // Most that planning and running its plans takes beyond dense attention: tensors, kept plans, a larger workspace. An upper
  // bound; what settles it with the grid alone is made here and kept.
  virtual Result<size_t> bytes(const PolicyJob&, const ExecContext&) { return size_t(0); }
  // What became of its plan; recall and error are there when a RecallMeter runs.
  virtual void observe(const AttentionRecord&) {}
  // What it remembers, for a checkpoint: bytes that restore() of the same SPEC takes back, to plan on as if it had never
  // stopped. Hostile input is refused with one line and changes nothing.
  virtual std::string save() const { return {}; }
  virtual Status restore(std::string_view state);
  // Whether it settles by itself what it keeps, so that a promised recall steers it and ends no job.
  virtual bool chooses() const { return false; }
};

// Workspace of dense attention, for an estimate: at sizes beyond every machine no plan is made, which would itself take gigabytes.
size_t dense_workspace(int64_t nq, int64_t nk, const AttentionProblem& p, const ExecContext& ctx);

// Bytes of the workspace that a plan needs beyond dense attention's over the same tokens.
size_t extra_workspace(const AttentionPlan& plan, const PolicyJob& job, const ExecContext& ctx);

class AttentionDriver {
 public:
  explicit AttentionDriver(std::shared_ptr<AttentionPolicy> self_policy) : policy_(std::move(self_policy)) {}
  std::vector<AttentionHook*> hooks;
  std::vector<AttentionRecord>* records = nullptr;  // of the self-attentions

  // Attention at one site. fixed_plan: for cross-attention, whose plan is settled by the prompt. Workspace and log-sum-exps
  // come from ctx.arena, grow as needed and are kept between calls.
  Status attend(const Site& site, AttentionArgs args, const PlanPtr& fixed_plan, const ExecContext& ctx);

 private:
  std::shared_ptr<AttentionPolicy> policy_;
  AttentionWorkspace workspace_;
  Tensor lse_;
};

// A plan's linear part may be projected by weights that not every model has: kInvalid where they are missing.
Status check_projection(const AttentionPlan& plan, bool have_weights);

}  // namespace zt
