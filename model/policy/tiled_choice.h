// Methods that choose blocks of tokens near each other in the clip: tokens ordered by tile, mean queries against mean keys.
#pragma once

#include "model/policy/block_choice.h"
#include "model/policy/exact_tile.h"

namespace zt {

class TiledChoice : public AttentionPolicy {
 public:
  PolicyNeeds needs() const final { return PolicyNeeds::qk; }
  Result<PlanPtr> plan(const PolicyInput& in, const ExecContext& ctx) final;
  Result<size_t> bytes(const PolicyJob& job, const ExecContext& ctx) final;

 protected:
  TiledChoice(int block, double keep) : block_(block), keep_(keep) {}
  virtual ScoreRule score_rule(int64_t head_dim) const = 0;
  virtual double most_kept() const = 0;  // share of the tiles that a plan keeps at most
  virtual void choose(const SelectBlocksArgs& args, const ExecContext& ctx) const = 0;  // rule and mass are the method's

 private:
  PlanParts parts(const Grid& grid);

  int block_;
  double keep_;
  Grid grid_{0, 0, 0};  // of tiling_
  Tiling tiling_;
};

PolicyParameter tile_block_parameter();

}  // namespace zt
