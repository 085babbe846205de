#pragma once

#include <string>
#include <vector>

#include "kernels/api/attention.h"

namespace zt::opbench {

// Rates in GFLOP/s; a kept pair of query and key counts 4 * head_dim. `wall` is by the clock, `cpu` by the time the process
// was given (times threads), which a busy machine does not change; waiting threads must sleep, not spin, for `cpu`.
struct AttentionTiming {
  std::string executor;
  double wall = 0, cpu = 0;                  // ours, medians
  double library_wall = 0, library_cpu = 0;  // oneDNN's product of 2048 x 2048 matrices of the type, in turns with ours
  double wall_ratio = 0, cpu_ratio = 0;      // ours / library, median over rounds
};

// q, k, v interleaved by token as the model has them, normal numbers, on ctx.threads threads.
AttentionTiming time_attention(const AttentionPlan& plan, const AttentionProblem& p, double budget_seconds,
                               const ExecContext& ctx);

// One line of a comparison with dense attention of the same sizes: its time as a share of dense, by the clock and by processor
// time, medians over rounds in turns.
struct AttentionShare {
  std::string what;
  double wall = 0, cpu = 0, seconds = 0;
};
// Random blocks of 10 % density, a plan as `sla` makes it (5 % kept, global linear part), its complement, block mass and calls
// without values.
std::vector<AttentionShare> attention_shares(int64_t heads, int64_t tokens, int64_t head_dim, DType type, double budget_seconds,
                                             const ExecContext& ctx);

}  // namespace zt::opbench
