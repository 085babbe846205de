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

// Sees q, k, v before and the output after attention; may change them in place. An empty chain is bit-identical to none.
class AttentionHook {
 public:
  virtual ~AttentionHook() = default;
  virtual void before(const Site&, TensorView& /*q*/, TensorView& /*k*/, TensorView& /*v*/, const ExecContext&) {}
  virtual void after(const Site&, const AttentionPlan&, const AttentionArgs&, const ExecContext&) {}
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

// Chooses the plan of each self-attention. model/policy holds the methods; dense is the simplest. One instance a job:
// what it remembers, it keeps per layer and branch.
class AttentionPolicy {
 public:
  virtual ~AttentionPolicy() = default;
  virtual std::string_view name() const = 0;
  virtual PolicyNeeds needs() const { return PolicyNeeds::nothing; }
  virtual Result<PlanPtr> plan(const PolicyInput& in, const ExecContext& ctx) = 0;
  // What it remembers, for a checkpoint: bytes that restore() of the same SPEC takes back, to plan on as if it had never
  // stopped. Hostile input is refused with one line and changes nothing.
  virtual std::string save() const { return {}; }
  virtual Status restore(std::string_view state);
};

struct AttentionRecord {  // one line of --report
  int64_t step, layer;
  Branch branch;
  double density, seconds;
  double plan_seconds = 0;  // spent by the policy, on top of `seconds`
};

class AttentionDriver {
 public:
  explicit AttentionDriver(std::shared_ptr<AttentionPolicy> self_policy) : policy_(std::move(self_policy)) {}
  std::vector<AttentionHook*> hooks;
  std::vector<AttentionRecord>* records = nullptr;

  // Attention at one site. fixed_plan: for cross-attention, whose plan is settled by the prompt. `workspace` grows as needed
  // from ctx.arena and is kept between calls.
  Status attend(const Site& site, AttentionArgs args, const PlanPtr& fixed_plan, const ExecContext& ctx);

 private:
  std::shared_ptr<AttentionPolicy> policy_;
  Tensor workspace_;
};

}  // namespace zt
