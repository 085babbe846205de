#include "tests/opbench/attention_bench.h"

#include <ctime>

#include "kernels/api/op_table.h"
#include "tests/opbench/timing.h"
#include "tests/support/testing.h"

namespace zt::opbench {
namespace {

double cpu_seconds() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

// One call takes at least a few milliseconds, so that the resolution of the processor clock does not show.
constexpr double kPieceSeconds = 5e-3;

// A [1, H, N, D] view of columns of a matrix of tokens.
TensorView columns(const Tensor& t, const AttentionProblem& p, int64_t n, int64_t row, int64_t column) {
  TensorView v(static_cast<char*>(t.data()) + size_t(column) * dtype_size(p.dtype), p.dtype, {1, p.heads, n, p.head_dim});
  v.strides = {n * row, p.head_dim, row, 1};
  return v;
}

struct Rates {
  std::vector<double> wall, cpu;
};

}  // namespace

AttentionTiming time_attention(const AttentionPlan& plan, const AttentionProblem& p, double budget_seconds,
                               const ExecContext& ctx) {
  int64_t width = p.heads * p.head_dim, tokens = std::max(plan.nq(), plan.nk());
  Tensor qkv = testing::random_tensor(*ctx.arena, p.dtype, {tokens, 3 * width}, 1);
  Tensor out = testing::must(ctx.arena->make(p.dtype, {plan.nq(), width}));
  AttentionArgs a;
  a.q = columns(qkv, p, plan.nq(), 3 * width, 0);
  a.k = columns(qkv, p, plan.nk(), 3 * width, width);
  a.v = columns(qkv, p, plan.nk(), 3 * width, 2 * width);
  a.out = columns(out, p, plan.nq(), width, 0);
  const AttentionExecutor& e = choose_attention(plan, p, ctx);
  Tensor workspace = testing::must(ctx.arena->make(DType::u8, {int64_t(e.workspace_bytes(plan, p, ctx))}));
  auto product = ctx.ops->matmul_probe ? ctx.ops->matmul_probe({2048, 2048, 2048, p.dtype}, ctx) : nullptr;

  AttentionTiming t;
  t.executor = e.name();
  double flops = plan.flops(p.heads, p.head_dim);
  auto ours = [&] { e.run(plan, p, a, workspace.data(), ctx); };
  ours();
  int calls = int(std::max(1.0, kPieceSeconds / seconds_of(ours)));
  Rates mine, library;
  auto piece = [&](Rates& r, int n, double work, auto&& fn) {
    double cpu = cpu_seconds(), wall = seconds_of([&] {
                                  for (int i = 0; i < n; ++i) fn();
                                });
    cpu = cpu_seconds() - cpu;
    r.wall.push_back(1e-9 * work * n / wall), r.cpu.push_back(1e-9 * work * n / cpu * ctx.threads);
    return wall;
  };
  for (double spent = 0; spent < budget_seconds || mine.wall.size() < 3;) {
    spent += piece(mine, calls, flops, ours);
    if (product) spent += piece(library, 1, product->flops(), [&] { product->seconds(); });
  }
  t.wall = median(mine.wall), t.cpu = median(mine.cpu);
  if (product) {
    t.library_wall = median(library.wall), t.library_cpu = median(library.cpu);
    t.wall_ratio = median_ratio(mine.wall, library.wall), t.cpu_ratio = median_ratio(mine.cpu, library.cpu);
  }
  return t;
}

}  // namespace zt::opbench
