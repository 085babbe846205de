#include "model/policy/methods.h"

namespace zt {
namespace {

class Dense final : public AttentionPolicy {
 public:
  std::string_view name() const override { return "dense"; }
  Result<PlanPtr> plan(const PolicyInput& in, const ExecContext&) override {
    int64_t nq = in.q ? in.q.dim(2) : in.site.grid.tokens(), nk = in.k ? in.k.dim(2) : in.site.grid.tokens();
    return plan_.of(nq, nk);
  }

 private:
  DensePlan plan_;
};

}  // namespace

Method dense_method() {
  PolicyInfo info;
  info.name = "dense";
  info.summary = "every query reads every key: exact attention";
  info.citation = "Vaswani et al., arXiv 1706.03762";
  return {info, [](const Parameters&) -> Result<std::shared_ptr<AttentionPolicy>> {
            return std::shared_ptr<AttentionPolicy>(std::make_shared<Dense>());
          }};
}

}  // namespace zt
