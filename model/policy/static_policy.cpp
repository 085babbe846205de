#include "model/policy/static_policy.h"

#include <algorithm>

namespace zt {
namespace {

// A 4K clip of 81 frames has 685,440 tokens; a block map beyond this does not fit common memory.
constexpr int64_t kMaxTokens = int64_t(1) << 20;

}  // namespace

Result<PlanPtr> StaticPolicy::plan(const PolicyInput& in, const ExecContext& ctx) {
  constexpr size_t kKept = 4;
  const Grid& grid = in.site.grid;
  // Sides first: their product is only safe to form once each is bounded.
  if (std::min({grid.t, grid.h, grid.w}) < 1 || std::max({grid.t, grid.h, grid.w}) > kMaxTokens || grid.tokens() > kMaxTokens) {
    return invalid("{}: grid {}x{}x{}, each side must be at least 1 and the tokens at most {}", name(), grid.t, grid.h, grid.w,
                   kMaxTokens);
  }
  if (in.q && (in.q.dim(2) != grid.tokens() || in.k.dim(2) != grid.tokens())) {
    return invalid("{}: {} queries and {} keys on a grid of {}x{}x{} = {} tokens", name(), in.q.dim(2), in.k.dim(2), grid.t,
                   grid.h, grid.w, grid.tokens());
  }
  for (const auto& [known, made] : plans_) {
    if (known == grid) return made;
  }
  ZT_ASSIGN_OR_RETURN(PlanPtr made, build(grid, ctx));
  if (plans_.size() == kKept) plans_.erase(plans_.begin());
  plans_.emplace_back(grid, made);
  return made;
}

Result<size_t> StaticPolicy::bytes(const PolicyJob& job, const ExecContext& ctx) {
  PolicyInput in;
  in.site.grid = job.grid, in.heads = job.heads;
  ZT_ASSIGN_OR_RETURN(PlanPtr made, plan(in, ctx));
  return made->stats().bytes + extra_workspace(*made, job, ctx);
}

}  // namespace zt
