#include "model/policy/auto.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <sstream>

#include "kernels/api/transfer.h"
#include "model/dit/recall.h"
#include "model/policy/policy.h"

namespace zt {
namespace {

constexpr int kDense = -1, kLooks = 4;
constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr std::string_view kStateTag = "auto 1";

struct Candidate {
  std::string spec;
  std::shared_ptr<AttentionPolicy> policy;
  double seconds = kNever;  // plan and run; kNever = cannot run here
};

struct Layer {
  int chosen = kDense;
  int64_t looked = -1;  // quarter of the run it was last looked at in
  double recall = 1;    // of the chosen one, when it was looked at
};

// Buffers of one look.
struct Bench {
  AttentionProblem problem;
  Tensor out, lse, dense_lse;
  AttentionWorkspace workspace;

  Status make(const PolicyInput& in, const ExecContext& ctx) {
    problem.batch = in.q.dim(0), problem.heads = in.q.dim(1), problem.head_dim = in.q.dim(3), problem.dtype = in.q.dtype;
    Shape rows{problem.batch, problem.heads, in.q.dim(2)};
    ZT_ASSIGN_OR_RETURN(lse, ctx.arena->make(DType::f32, rows));
    ZT_ASSIGN_OR_RETURN(dense_lse, ctx.arena->make(DType::f32, rows));
    return {};
  }
  // One pass; without `values` only the log-sum-exps are made, for about half the work.
  Status run(const AttentionPlan& plan, const PolicyInput& in, const TensorView& to, bool values, const ExecContext& ctx) {
    if (values && !out) {
      ZT_ASSIGN_OR_RETURN(out, ctx.arena->make(problem.dtype, in.q.shape));
    }
    AttentionArgs a;
    a.q = in.q, a.k = in.k, a.lse = to;
    if (values) a.v = in.v, a.out = out;
    return attention_forward(plan, problem, a, workspace, ctx);
  }
  Result<double> recall(const ExecContext& ctx) const {
    size_t n = size_t(lse.view().count());
    ZT_ASSIGN_OR_RETURN(HostCopy kept, to_host(lse, ctx));
    ZT_ASSIGN_OR_RETURN(HostCopy all, to_host(dense_lse, ctx));
    return kept_share({kept.view.as<float>(), n}, {all.view.as<float>(), n}).mean;
  }
};

class Auto final : public AttentionPolicy {
 public:
  Auto(AutoRule rule, std::vector<Candidate> candidates) : rule_(std::move(rule)), candidates_(std::move(candidates)) {}
  std::string_view name() const override { return "auto"; }
  PolicyNeeds needs() const override { return PolicyNeeds::block_mass; }
  bool chooses() const override { return true; }

  Result<PlanPtr> plan(const PolicyInput& in, const ExecContext& ctx) override {
    if (!in.q || !in.v) return invalid("auto measures queries, keys and values; a grid alone does not settle its plan");
    const Site& s = in.site;
    int64_t quarter = s.step * kLooks / std::max<int64_t>(1, s.steps);
    Layer& layer = layers_[s.layer];
    if (s.branch == Branch::cond && layer.looked < quarter) {
      ZT_RETURN_IF_ERROR(look(layer, in, ctx));
      layer.looked = quarter;
      if (s.layer == s.layers - 1 && ctx.warn) tell(in, ctx);
    }
    return plan_of(layer.chosen, in, ctx);
  }

  // One candidate at a time makes what it needs, but what they keep adds up: the sum is the bound.
  Result<size_t> bytes(const PolicyJob& job, const ExecContext& ctx) override {
    size_t rows = size_t(job.heads * job.grid.tokens());
    AttentionProblem p{1, job.heads, job.head_dim, job.dtype};
    PlanPtr dense = AttentionPlan::dense(job.grid.tokens(), job.grid.tokens());
    size_t total = 2 * Arena::block_bytes(rows * sizeof(float)) + Arena::block_bytes(rows * size_t(job.head_dim) * dtype_size(job.dtype)) +
                   attention_workspace(*dense, p, ctx);
    for (Candidate& c : candidates_) {
      auto own = c.policy->bytes(job, ctx);
      if (own.ok()) total += *own;  // one that cannot plan here is out
    }
    return total;
  }

  void observe(const AttentionRecord& r) override {
    Layer& layer = layers_[r.layer];
    double recall = 0;
    for (const HeadRecord& h : r.heads) recall += h.recall / double(r.heads.size());
    if (layer.chosen != kDense && recall < rule_.recall) layer.chosen = kDense;
  }

  // Lines "layer chosen looked"; times are measured again.
  std::string save() const override {
    std::string out(kStateTag);
    for (const auto& [number, l] : layers_) out += fmt::format("\n{} {} {}", number, l.chosen, l.looked);
    return out;
  }
  Status restore(std::string_view state) override {
    std::istringstream in{std::string(state)};
    std::string line;
    std::map<int64_t, Layer> layers;
    if (!std::getline(in, line) || line != kStateTag) return invalid("auto: its saved state does not begin with '{}'", kStateTag);
    while (std::getline(in, line)) {
      int64_t number = 0;
      Layer l;
      int end = 0;
      bool good = std::sscanf(line.c_str(), "%9ld %9d %9ld%n", &number, &l.chosen, &l.looked, &end) == 3 && size_t(end) == line.size();
      good = good && number >= 0 && l.chosen >= kDense && l.chosen < int(candidates_.size()) && l.looked >= -1 && l.looked < kLooks;
      if (!good || !layers.emplace(number, l).second) return invalid("auto: its saved state holds the line '{}'", line.substr(0, 40));
    }
    layers_ = std::move(layers);
    return {};
  }

 private:
  Result<PlanPtr> plan_of(int which, PolicyInput in, const ExecContext& ctx) {
    if (which == kDense) return dense_.of(in.q.dim(2), in.k.dim(2));
    in.past_warm_up = true;
    return candidates_[size_t(which)].policy->plan(in, ctx);
  }

  // The best of two: the first call also warms caches and makes what is made once.
  Result<double> time(int which, Bench& bench, const PolicyInput& in, const TensorView& lse, const ExecContext& ctx) {
    double best = kNever;
    for (int i = 0; i < 2; ++i) {
      double begin = rule_.now();
      ZT_ASSIGN_OR_RETURN(PlanPtr plan, plan_of(which, in, ctx));
      ZT_RETURN_IF_ERROR(bench.run(*plan, in, lse, true, ctx));
      ZT_RETURN_IF_ERROR(wait_for_device(ctx));
      best = std::min(best, rule_.now() - begin);
    }
    return best;
  }

  // A candidate that cannot plan here is out; running out of memory is not its fault.
  Status time_all(Bench& bench, const PolicyInput& in, const ExecContext& ctx) {
    ZT_ASSIGN_OR_RETURN(dense_seconds_, time(kDense, bench, in, bench.dense_lse, ctx));
    for (size_t i = 0; i < candidates_.size(); ++i) {
      auto seconds = time(int(i), bench, in, bench.lse, ctx);
      if (!seconds.ok() && seconds.status().code() != Code::kInvalid) return seconds.status();
      candidates_[i].seconds = seconds.ok() ? *seconds : kNever;
    }
    order_.resize(candidates_.size());
    for (size_t i = 0; i < order_.size(); ++i) order_[i] = int(i);
    std::stable_sort(order_.begin(), order_.end(),
                     [&](int a, int b) { return candidates_[size_t(a)].seconds < candidates_[size_t(b)].seconds; });
    return {};
  }

  Status look(Layer& layer, const PolicyInput& in, const ExecContext& ctx) {
    Bench bench;
    ZT_RETURN_IF_ERROR(bench.make(in, ctx));
    if (order_.empty()) ZT_RETURN_IF_ERROR(time_all(bench, in, ctx));
    layer.chosen = kDense, layer.recall = 1;
    bool have_dense = false;
    for (int which : order_) {
      if (candidates_[size_t(which)].seconds >= dense_seconds_) break;
      if (!have_dense) {
        ZT_ASSIGN_OR_RETURN(PlanPtr dense, plan_of(kDense, in, ctx));
        ZT_RETURN_IF_ERROR(bench.run(*dense, in, bench.dense_lse, false, ctx));
        have_dense = true;
      }
      auto plan = plan_of(which, in, ctx);
      if (!plan.ok()) continue;
      ZT_RETURN_IF_ERROR(bench.run(**plan, in, bench.lse, false, ctx));
      ZT_ASSIGN_OR_RETURN(double recall, bench.recall(ctx));
      if (recall < rule_.recall) continue;
      layer.chosen = which, layer.recall = recall;
      break;
    }
    return {};
  }

  // Says what was chosen and why, when that is news.
  void tell(const PolicyInput& in, const ExecContext& ctx) {
    std::map<int, int> count;
    double least = 1;
    for (const auto& [number, l] : layers_) ++count[l.chosen], least = std::min(least, l.recall);
    if (count != told_) ctx.warn(summary(in, count, least));
    told_ = std::move(count);
  }

  std::string summary(const PolicyInput& in, const std::map<int, int>& count, double least) const {
    const Candidate& fastest = candidates_[size_t(order_.front())];
    std::string head = fmt::format("auto, step {} of {}, {} tokens, {} heads: dense takes {:.2f} ms a call", in.site.step + 1, in.site.steps,
                                   in.q.dim(2), in.q.dim(1), dense_seconds_ * 1e3);
    if (fastest.seconds >= dense_seconds_)
      return head + fmt::format(", the fastest sparse method ({}) {:.2f} ms: dense is faster, all layers stay dense", fastest.spec,
                                fastest.seconds * 1e3);
    std::string chosen;
    for (const auto& [which, layers] : count) {
      if (which == kDense) continue;
      const Candidate& c = candidates_[size_t(which)];
      chosen += fmt::format("; {} ({:.2f} ms) in {} of {} layers", c.spec, c.seconds * 1e3, layers, layers_.size());
    }
    if (chosen.empty())
      return head + fmt::format("; {} takes {:.2f} ms, but no faster method keeps {} of the attention: all layers stay dense", fastest.spec,
                                fastest.seconds * 1e3, rule_.recall);
    return head + chosen + fmt::format("; the others stay dense; least recall {:.3f}", least);
  }

  AutoRule rule_;
  std::vector<Candidate> candidates_;
  std::vector<int> order_;  // of candidates, fastest first; empty until timed
  double dense_seconds_ = 0;
  std::map<int64_t, Layer> layers_;
  std::map<int, int> told_;  // layers by what they chose, as last said
  DensePlan dense_;
};

double steady_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

Result<std::shared_ptr<AttentionPolicy>> make_auto(AutoRule rule) {
  ZT_CHECK(!rule.candidates.empty() && rule.now);
  std::vector<Candidate> candidates;
  for (const std::string& spec : rule.candidates) {
    ZT_ASSIGN_OR_RETURN(auto policy, make_policy(spec));
    candidates.push_back({spec, std::move(policy), kNever});
  }
  return std::shared_ptr<AttentionPolicy>(std::make_shared<Auto>(std::move(rule), std::move(candidates)));
}

Method auto_method() {
  PolicyInfo info;
  info.name = "auto";
  info.summary = "measures dense attention against the sparse methods in this run and takes the fastest that keeps the asked recall";
  info.citation = "this project";
  PolicyParameter recall = fraction_parameter(
      "recall", "0.95", "what a method must keep of dense attention, mean over the rows and heads of a layer; --min-recall sets it, too");
  recall.unit = "of the attention mass";
  info.parameters = {recall};
  return {info, [](const Parameters& p) -> Result<std::shared_ptr<AttentionPolicy>> {
            AutoRule rule;
            rule.recall = p.fraction("recall"), rule.now = steady_seconds;
            // Training-free methods only: what a trained one loses is not in its recall.
            rule.candidates = {"radial:variant=exact,decay=0.2", "radial:variant=exact", "topk:keep=0.1", "topk:keep=0.2",
                               "topk:keep=0.4",                  "topp:mass=0.9",        "svg:keep=0.3"};
            return make_auto(std::move(rule));
          }};
}

}  // namespace zt
