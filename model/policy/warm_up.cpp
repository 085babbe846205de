#include "model/policy/warm_up.h"

namespace zt {
namespace {

class WarmUp final : public AttentionPolicy {
 public:
  WarmUp(std::shared_ptr<AttentionPolicy> method, const Parameters& p)
      : method_(std::move(method)),
        steps_(p.integer("dense_steps")),
        last_steps_(p.integer("dense_last_steps")),
        layers_(p.integer("dense_layers")) {}

  std::string_view name() const override { return method_->name(); }
  PolicyNeeds needs() const override { return method_->needs(); }
  std::string save() const override { return method_->save(); }
  Result<size_t> bytes(const PolicyJob& job, const ExecContext& ctx) override { return method_->bytes(job, ctx); }
  void observe(const AttentionRecord& r) override { method_->observe(r); }
  bool chooses() const override { return method_->chooses(); }
  Status restore(std::string_view state) override { return method_->restore(state); }

  Result<PlanPtr> plan(const PolicyInput& in, const ExecContext& ctx) override {
    const Site& s = in.site;
    bool dense = s.step < steps_ || s.step >= s.steps - last_steps_ || s.layer < layers_;
    if (in.past_warm_up || !dense) return method_->plan(in, ctx);
    int64_t nq = in.q ? in.q.dim(2) : s.grid.tokens(), nk = in.k ? in.k.dim(2) : s.grid.tokens();
    return dense_.of(nq, nk);
  }

 private:
  std::shared_ptr<AttentionPolicy> method_;
  int64_t steps_, last_steps_, layers_;
  DensePlan dense_;
};

}  // namespace

const std::vector<PolicyParameter>& warm_up_parameters() {
  auto count = [](std::string name, std::string unit, std::string help) {
    return PolicyParameter{std::move(name), ParameterType::integer, "0", 0, 100000, {}, {}, std::move(unit), std::move(help), {}};
  };
  static const std::vector<PolicyParameter> list = {
      count("dense_steps", "steps", "first denoising steps that stay dense; a quarter of all is the usual choice"),
      count("dense_last_steps", "steps", "last denoising steps that stay dense"),
      count("dense_layers", "layers", "first transformer layers that stay dense in every step"),
  };
  return list;
}

std::shared_ptr<AttentionPolicy> with_warm_up(std::shared_ptr<AttentionPolicy> method, const Parameters& p) {
  if (p.integer("dense_steps") + p.integer("dense_last_steps") + p.integer("dense_layers") == 0) return method;
  return std::make_shared<WarmUp>(std::move(method), p);
}

}  // namespace zt
