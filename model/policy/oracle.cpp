// The best choice of blocks there is at a density, found by a pass over all queries and keys: what other methods are measured by.
#include "model/policy/block_choice.h"
#include "model/policy/methods.h"

namespace zt {
namespace {

class Oracle final : public AttentionPolicy {
 public:
  Oracle(double keep, int block) : keep_(keep), block_(block) {}
  std::string_view name() const override { return "oracle"; }
  PolicyNeeds needs() const override { return PolicyNeeds::block_mass; }

  Result<size_t> bytes(const PolicyJob& job, const ExecContext& ctx) override {
    Blocks blocks = Blocks::uniform(job.grid.tokens(), block_);
    return mass_bytes(job, block_, 1, ctx) + lists_bytes(job, blocks.count(), blocks.count(), keep_);
  }

  Result<PlanPtr> plan(const PolicyInput& in, const ExecContext& ctx) override {
    auto began = PlanClock::now();
    ZT_ASSIGN_OR_RETURN(ClipInput clip, clip_input(in, name()));
    ZT_ASSIGN_OR_RETURN(Tensor mass, block_mass_of(clip, block_, {}, {}, ctx));
    int32_t count = kept_count(keep_, mass.shape()[2]);
    ZT_ASSIGN_OR_RETURN(Tensor map, highest_blocks(mass, {&count, 1}, ctx));
    PlanParts p;
    p.heads = int(clip.heads());
    p.q = Blocks::uniform(clip.nq(), block_), p.k = Blocks::uniform(clip.nk(), block_);
    return plan_of_map(std::move(p), map, began, ctx);
  }

 private:
  double keep_;
  int block_;
};

}  // namespace

Method oracle_method() {
  PolicyInfo info;
  info.name = "oracle";
  info.summary = "the blocks that hold the most attention, found by a full pass: an upper bound, not a saving";
  info.citation = "the search of AdaSpa, arXiv 2502.21079, in every call";
  info.parameters = {keep_parameter("0.2", "fraction of key blocks that each query block reads"),
                     block_parameter("block", "64", "side of a block")};
  return {info, [](const Parameters& p) -> Result<std::shared_ptr<AttentionPolicy>> {
            return std::shared_ptr<AttentionPolicy>(std::make_shared<Oracle>(p.fraction("keep"), block_value(p, "block")));
          }};
}

}  // namespace zt
