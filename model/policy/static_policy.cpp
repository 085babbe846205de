#include "model/policy/static_policy.h"

namespace zt {

Result<PlanPtr> StaticPolicy::plan(const PolicyInput& in, const ExecContext& ctx) {
  constexpr size_t kKept = 4;
  const Grid& grid = in.site.grid;
  if (grid.t < 1 || grid.h < 1 || grid.w < 1)
    return invalid("{}: grid {}x{}x{}, each side must be at least 1", name(), grid.t, grid.h, grid.w);
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

}  // namespace zt
