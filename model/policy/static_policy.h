// A method whose plan depends on the grid alone: made once per grid, shared by layers, steps, branches and heads.
#pragma once

#include <utility>
#include <vector>

#include "model/dit/attend.h"

namespace zt {

class StaticPolicy : public AttentionPolicy {
 public:
  Result<PlanPtr> plan(const PolicyInput& in, const ExecContext& ctx) final;
  Result<size_t> bytes(const PolicyJob& job, const ExecContext& ctx) final;

 protected:
  virtual Result<PlanPtr> build(const Grid& grid, const ExecContext& ctx) = 0;

 private:
  std::vector<std::pair<Grid, PlanPtr>> plans_;  // newest last; a job has one grid, a window with previews a few
};

}  // namespace zt
