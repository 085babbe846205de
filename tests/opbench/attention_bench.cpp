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

// Each query block reads `keep` of the key blocks, chosen at random.
PlanParts random_blocks(int64_t heads, int64_t tokens, int block_q, int block_k, double keep) {
  testing::Random random(5);
  PlanParts p;
  p.heads = int(heads);
  p.q = Blocks::uniform(tokens, block_q), p.k = Blocks::uniform(tokens, block_k);
  int64_t count = std::max(int64_t(1), int64_t(keep * double(p.k.count())));
  p.row_offsets.push_back(0);
  std::vector<int32_t> all;
  for (int32_t c = 0; c < p.k.count(); ++c) all.push_back(c);
  for (int64_t row = 0; row < heads * p.q.count(); ++row) {
    for (int64_t i = 0; i < count; ++i) std::swap(all[size_t(i)], all[size_t(i + random.below(p.k.count() - i))]);
    p.cols.insert(p.cols.end(), all.begin(), all.begin() + count);
    std::sort(p.cols.end() - count, p.cols.end());
    p.row_offsets.push_back(int64_t(p.cols.size()));
  }
  return p;
}

PlanPtr with_linear(PlanParts p, LinearScope scope) {
  p.linear = LinearPart{scope, FeatureMap::softmax, true, Blend::sum, {}, {}, {}};
  return testing::must(AttentionPlan::make(std::move(p)));
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

std::vector<AttentionShare> attention_shares(int64_t heads, int64_t tokens, int64_t head_dim, DType type, double budget_seconds,
                                             const ExecContext& ctx) {
  struct Case {
    std::string what;
    PlanPtr plan;
    bool out = true, mass = false;
  };
  PlanPtr dense = AttentionPlan::dense(tokens, tokens);
  auto blocks = [&](int block_q, double keep) { return random_blocks(heads, tokens, block_q, 64, keep); };
  const Case cases[] = {{"dense", dense},
                        {"random 128 x 64, 10 %", testing::must(AttentionPlan::make(blocks(128, 0.1)))},
                        {"random 64 x 64, 10 %", testing::must(AttentionPlan::make(blocks(64, 0.1)))},
                        {"random 128 x 64, 5 %", testing::must(AttentionPlan::make(blocks(128, 0.05)))},
                        {"sla 128 x 64, 5 %, global", with_linear(blocks(128, 0.05), LinearScope::global)},
                        {"sla 128 x 64, 5 %, complement", with_linear(blocks(128, 0.05), LinearScope::complement)},
                        {"dense with block mass", dense, true, true},
                        {"block mass only", dense, false, true},
                        {"log-sum-exps only", dense, false, false}};
  AttentionProblem p{1, heads, head_dim, type, 0};
  int64_t width = heads * head_dim;
  Tensor qkv = testing::random_tensor(*ctx.arena, type, {tokens, 3 * width}, 1),
         out = testing::must(ctx.arena->make(type, {tokens, width}));
  Tensor weight = testing::random_tensor(*ctx.arena, DType::f32, {head_dim, head_dim}, 2);
  Tensor lse = testing::must(ctx.arena->make(DType::f32, {1, heads, tokens}));
  Tensor mass = testing::must(ctx.arena->make(DType::f32, {1, heads, dense->parts().q.count(), dense->parts().k.count()}));
  std::vector<std::function<void()>> runs;
  std::vector<Tensor> workspaces;
  for (const Case& c : cases) {
    AttentionProblem problem = p;
    problem.block_mass = c.mass;
    AttentionArgs a;
    a.q = columns(qkv, p, tokens, 3 * width, 0), a.k = columns(qkv, p, tokens, 3 * width, width);
    if (c.out) a.v = columns(qkv, p, tokens, 3 * width, 2 * width), a.out = columns(out, p, tokens, width, 0);
    if (!c.out) a.lse = lse;
    a.proj_weight = weight, a.proj_bias = weight.view().slice(0, 0, 1);
    a.proj_bias.shape = {head_dim}, a.proj_bias.strides = {1};
    if (c.mass) a.block_mass = mass;
    const AttentionExecutor& e = choose_attention(*c.plan, problem, ctx);
    workspaces.push_back(testing::must(ctx.arena->make(DType::u8, {int64_t(e.workspace_bytes(*c.plan, problem, ctx))})));
    runs.push_back(
        [&e, &ctx, problem, a, plan = c.plan, space = workspaces.back().data()] { e.run(*plan, problem, a, space, ctx); });
  }
  // Clock and processor time of each round, in turns.
  std::vector<std::vector<double>> wall(runs.size()), cpu(runs.size());
  for (const auto& run : runs) run();
  for (double spent = 0; spent < budget_seconds || wall[0].size() < 5;) {
    for (size_t i = 0; i < runs.size(); ++i) {
      double before = cpu_seconds();
      wall[i].push_back(seconds_of(runs[i]));
      cpu[i].push_back(cpu_seconds() - before);
      spent += wall[i].back();
    }
  }
  std::vector<AttentionShare> shares;
  for (size_t i = 0; i < runs.size(); ++i) {
    shares.push_back({cases[i].what, median_ratio(wall[i], wall[0]), median_ratio(cpu[i], cpu[0]), median(wall[i])});
  }
  return shares;
}

}  // namespace zt::opbench
