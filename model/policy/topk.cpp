#include "model/policy/methods.h"
#include "model/policy/tiled_choice.h"

namespace zt {
namespace {

class TopK final : public TiledChoice {
 public:
  TopK(int block, double keep) : TiledChoice(block, keep), keep_(keep) {}
  std::string_view name() const override { return "topk"; }

 protected:
  ScoreRule score_rule(int64_t) const override { return {}; }  // a positive factor does not move a rank
  double most_kept() const override { return keep_; }
  void choose(const SelectBlocksArgs& args, const ExecContext& ctx) const override { select_blocks(args, ctx); }

 private:
  double keep_;
};

Result<std::shared_ptr<AttentionPolicy>> make(const Parameters& p) {
  return std::shared_ptr<AttentionPolicy>(std::make_shared<TopK>(block_value(p, "block"), p.fraction("keep")));
}

}  // namespace

Method topk_method() {
  PolicyInfo info;
  info.name = "topk";
  info.summary = "each tile of the clip reads the tiles whose mean key fits its mean query best";
  info.citation = "BiFormer, arXiv 2303.08810; VMoBA, arXiv 2506.23858";
  info.advice = "VMoBA keeps the first quarter of the steps dense (dense_steps=12 of 50)";
  info.parameters = {keep_parameter("0.2", "fraction of tiles that each tile reads"), tile_block_parameter()};
  return {info, make};
}

}  // namespace zt
