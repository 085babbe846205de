// Radial Attention as a method: the parameters of the two masks of radial_mask.h.
#include "model/policy/methods.h"
#include "model/policy/radial_mask.h"
#include "model/policy/static_policy.h"

namespace zt {
namespace {

class Radial final : public StaticPolicy {
 public:
  Radial(const RadialRule& rule, bool exact) : rule_(rule), exact_(exact) {}
  std::string_view name() const override { return "radial"; }

 protected:
  Result<PlanPtr> build(const Grid& grid, const ExecContext&) override {
    // Both masks go over all pairs of frames: seconds here, hours at the most tokens there may be. Half an hour of video.
    constexpr int64_t kMaxFrames = 1 << 15;
    if (grid.t > kMaxFrames) return invalid("radial: {} frames, at most {} are allowed", grid.t, kMaxFrames);
    return exact_ ? radial_exact(grid, rule_) : radial_shipped(grid, rule_);
  }

 private:
  RadialRule rule_;
  bool exact_;
};

Result<std::shared_ptr<AttentionPolicy>> make(const Parameters& p) {
  RadialRule rule;
  rule.decay = p.fraction("decay");
  rule.block = block_value(p, "block");
  rule.sink = p.boolean("sink");
  const std::string& near = p.choice("near");
  rule.near = near == "full" ? RadialNear::full : near == "half" ? RadialNear::half : RadialNear::decay;
  return std::shared_ptr<AttentionPolicy>(std::make_shared<Radial>(rule, p.choice("variant") == "exact"));
}

}  // namespace

Method radial_method() {
  PolicyInfo info;
  info.name = "radial";
  info.summary = "frames read each other through bands that narrow with their distance in time";
  info.citation = "Radial Attention, arXiv 2506.19852; mit-han-lab/radial-attention";
  info.advice =
      "its authors keep a quarter of the steps and the first layer dense (dense_steps=12 of 50, dense_layers=1), with decay=0.2 "
      "for Wan 2.1";
  PolicyParameter decay = fraction_parameter(
      "decay", "1", "factor on the band's width; the released scripts use 0.2 for Wan 2.1 at its own length, 1 for longer clips");
  decay.citation = "the paper has no such factor: 1";
  PolicyParameter near =
      choice_parameter("near", {"full", "half", "decay"}, "full", "",
             "what frames one apart keep: everything, the band of half a frame as first released, or the decayed band");
  near.aliases = {{"1", "full"}, {"0", "decay"}, {"s//2", "half"}};
  info.parameters = {
      decay,
      block_parameter("block", "128", "side of a block"),
      boolean_parameter("sink", "1", "every query reads all of the first frame"),
      near,
      choice_parameter("variant", {"shipped", "exact"}, "shipped", "",
             "shipped: the released block mask bit for bit, quirks included; exact: the paper's band per token, blocks that "
             "respect frames"),
  };
  return {info, make};
}

}  // namespace zt
