#include "model/policy/tiled_choice.h"

namespace zt {

PlanParts TiledChoice::parts(const Grid& grid) {
  if (!(grid_ == grid)) {
    grid_ = grid;
    tiling_ = tile_tokens(grid_, exact_tile(grid_, block_), {1, 1, 1});
  }
  PlanParts p;
  p.q = p.k = tiling_.blocks;
  p.q_order = p.k_order = tiling_.order;
  return p;
}

Result<size_t> TiledChoice::bytes(const PolicyJob& job, const ExecContext& ctx) {
  PlanParts p = parts(job.grid);
  int64_t blocks = p.k.count();
  ZT_ASSIGN_OR_RETURN(size_t workspace, workspace_bytes_of(std::move(p), job, ctx));
  return workspace + pooled_bytes(job, blocks, blocks) + lists_bytes(job, blocks, blocks, most_kept());
}

Result<PlanPtr> TiledChoice::plan(const PolicyInput& in, const ExecContext& ctx) {
  auto began = PlanClock::now();
  ZT_ASSIGN_OR_RETURN(ClipInput clip, clip_on_grid(in, name()));
  PlanParts p = parts(in.site.grid);
  p.heads = int(clip.heads());
  ZT_ASSIGN_OR_RETURN(Tensor scores, pooled_scores(clip, p, score_rule(clip.head_dim()), ctx));
  ZT_ASSIGN_OR_RETURN(Tensor map, ctx.arena->zeros(DType::u8, scores.shape()));
  int32_t count = kept_count(keep_, p.k.count());
  choose({scores, SelectRule::highest, {&count, 1}, 1, 1, map}, ctx);
  return plan_of_map(std::move(p), map, began, ctx);
}

PolicyParameter tile_block_parameter() {
  return block_parameter("block", "64", "most tokens of a tile; tiles divide the grid where they can (60 of 64 at 21x30x52)");
}

}  // namespace zt
