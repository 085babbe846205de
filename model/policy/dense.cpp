#include "model/policy/methods.h"

namespace zt {
namespace {

class Dense final : public AttentionPolicy {
 public:
  std::string_view name() const override { return "dense"; }
  Result<PlanPtr> plan(const Site&, const AttentionArgs& args, const ExecContext&) override {
    int64_t nq = args.q.dim(2), nk = args.k.dim(2);
    if (!plan_ || plan_->nq() != nq || plan_->nk() != nk) plan_ = AttentionPlan::dense(nq, nk);
    return plan_;
  }

 private:
  PlanPtr plan_;
};

}  // namespace

std::shared_ptr<AttentionPolicy> make_dense() { return std::make_shared<Dense>(); }

}  // namespace zt
