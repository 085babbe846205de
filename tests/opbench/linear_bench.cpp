#include "tests/opbench/linear_bench.h"

#include "kernels/api/op_table.h"
#include "tests/opbench/timing.h"
#include "tests/support/testing.h"

namespace zt::opbench {

LinearTiming time_linear(const LinearDesc& d, int64_t rows, double budget_seconds, const ExecContext& ctx) {
  Tensor w = testing::random_tensor(*ctx.arena, DType::bf16, {d.out, d.in}, 1, 0.05f);
  Tensor b = testing::random_tensor(*ctx.arena, DType::f32, {d.out}, 2),
         x = testing::random_tensor(*ctx.arena, d.compute, {rows, d.in}, 3);
  Tensor y = testing::must(ctx.arena->zeros(d.compute, {rows, d.out}));
  LinearTiming t;
  std::unique_ptr<PackedLinear> packed;
  LinearRows parts[] = {{w, b}};
  t.pack_seconds = seconds_of([&] { packed = testing::must(pack_linear(d, parts, ctx)); });
  t.first_seconds = seconds_of([&] { packed->run(x, y, ctx); });
  std::vector<std::function<void()>> turns = {[&] { packed->run(x, y, ctx); }};
  auto plain = ctx.ops->matmul_probe ? ctx.ops->matmul_probe({rows, d.out, d.in, d.compute}, ctx) : nullptr;
  if (plain) turns.push_back([&] { plain->seconds(); });
  auto times = in_turns(budget_seconds, turns);
  t.seconds = median(times[0]);
  if (plain) t.library_seconds = median(times[1]), t.ratio = median_ratio(times[1], times[0]);
  return t;
}

}  // namespace zt::opbench
