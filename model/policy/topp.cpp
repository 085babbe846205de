#include <cmath>

#include "model/policy/methods.h"
#include "model/policy/tiled_choice.h"

namespace zt {
namespace {

class TopP final : public TiledChoice {
 public:
  TopP(int block, double keep, double mass) : TiledChoice(block, keep), mass_(mass) {}
  std::string_view name() const override { return "topp"; }

 protected:
  // A threshold, other than a rank, needs the scale of attention itself.
  ScoreRule score_rule(int64_t head_dim) const override {
    return {.share = true, .scale = float(1 / std::sqrt(double(head_dim)))};
  }
  double most_kept() const override { return 1; }
  void choose(const SelectBlocksArgs& args, const ExecContext& ctx) const override {
    SelectBlocksArgs by_mass = args;
    by_mass.rule = SelectRule::mass, by_mass.mass = mass_;
    select_blocks(by_mass, ctx);
  }

 private:
  double mass_;
};

Result<std::shared_ptr<AttentionPolicy>> make(const Parameters& p) {
  return std::shared_ptr<AttentionPolicy>(
      std::make_shared<TopP>(block_value(p, "block"), p.fraction("keep"), p.fraction("mass")));
}

}  // namespace

Method topp_method() {
  PolicyInfo info;
  info.name = "topp";
  info.summary = "each tile of the clip reads tiles until they are expected to hold a share of its attention";
  info.citation = "SVG2, arXiv 2505.18875, section 4, on tiles instead of clusters";
  info.parameters = {
      fraction_parameter("mass", "0.9", "share of a tile's expected attention that it reads at least"),
      keep_parameter("0.05", "fraction of tiles that each tile reads at least"),
      tile_block_parameter(),
  };
  return {info, make};
}

}  // namespace zt
