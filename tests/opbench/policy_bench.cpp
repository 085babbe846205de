// What planning costs beside exact attention: the mean time of AttentionPolicy::plan over the steps of one layer.
// Shares by the clock and by processor time, which neighbours on the machine disturb less.
//   bench_policy [threads] [heads t h w head_dim]
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "model/policy/policy.h"
#include "tests/opbench/timing.h"
#include "tests/support/testing.h"

namespace zt::opbench {
namespace {

using testing::must;

struct Case {
  int64_t heads;
  Grid grid;
  int64_t d;
};
constexpr int64_t kSteps = 50;
constexpr double kMostSeconds = 10;  // of one method: a slow one is judged by its first steps

// q, k, v as the model has them: columns of one matrix of tokens.
struct Inputs {
  Tensor qkv, out;
  AttentionArgs args;
  Inputs(const Case& c, Arena& arena) {
    int64_t n = c.grid.tokens(), width = c.heads * c.d;
    qkv = testing::random_tensor(arena, DType::bf16, {n, 3 * width}, 1);
    out = must(arena.make(DType::bf16, {n, width}));
    auto columns = [&](const Tensor& t, int64_t row, int64_t column) {
      TensorView v(static_cast<bf16*>(t.data()) + column, DType::bf16, {1, c.heads, n, c.d});
      v.strides = {n * row, c.d, row, 1};
      return v;
    };
    args.q = columns(qkv, 3 * width, 0), args.k = columns(qkv, 3 * width, width), args.v = columns(qkv, 3 * width, 2 * width);
    args.out = columns(out, width, 0);
  }
};

struct Seconds {
  double wall, cpu;
};

Seconds timed(const std::function<void()>& fn) {
  auto cpu = [] {
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
  };
  double before = cpu(), wall = seconds_of(fn);
  return {wall, cpu() - before};
}

Seconds attention_seconds(const AttentionPlan& plan, const AttentionArgs& args, const ExecContext& ctx) {
  AttentionProblem p{1, args.q.dim(1), args.q.dim(3), args.q.dtype};
  const AttentionExecutor& e = choose_attention(plan, p, ctx);
  Tensor workspace = must(ctx.arena->make(DType::u8, {int64_t(e.workspace_bytes(plan, p, ctx)) + 64}));
  std::vector<double> wall, cpu;
  for (int i = 0; i < 3; ++i) {
    Seconds s = timed([&] { e.run(plan, p, args, workspace.data(), ctx); });
    wall.push_back(s.wall), cpu.push_back(s.cpu);
  }
  return {median(wall), median(cpu)};
}

void bench(const Case& c, const ExecContext& ctx) {
  const int64_t n = c.grid.tokens();
  Inputs in(c, *ctx.arena);
  Seconds dense = attention_seconds(*AttentionPlan::dense(n, n), in.args, ctx);
  std::printf("%lld heads, %lldx%lldx%lld = %lld tokens, head dim %lld, %d threads: exact attention %.1f ms\n",
              (long long)c.heads, (long long)c.grid.t, (long long)c.grid.h, (long long)c.grid.w, (long long)n, (long long)c.d,
              ctx.threads, 1e3 * dense.wall);
  std::printf("%10s %10s %10s %10s %10s %8s %8s\n", "method", "plan ms", "of exact", "cpu share", "longest ms", "density",
              "steps");
  for (const PolicyInfo& info : policy_table()) {
    auto policy = must(make_policy(info.name));
    AttentionProblem mass{1, c.heads, c.d, DType::bf16, 0, true};
    if (policy->needs() == PolicyNeeds::block_mass && choose_attention(*AttentionPlan::dense(n, n), mass, ctx).name() == "ref") {
      std::printf("%10s   no fast pass for block mass here\n", info.name.c_str());
      continue;
    }
    PolicyInput input;
    input.site.grid = c.grid, input.site.steps = kSteps;
    input.heads = c.heads, input.q = in.args.q, input.k = in.args.k, input.v = in.args.v, input.projection = true;
    Seconds sum{0, 0};
    double longest = 0, density = 1;
    int64_t& step = input.site.step;
    while (step < kSteps && sum.wall < kMostSeconds) {
      Seconds s = timed([&] { density = must(policy->plan(input, ctx))->density(); });
      sum.wall += s.wall, sum.cpu += s.cpu, longest = std::max(longest, s.wall), ++step;
    }
    double each = double(step);
    std::printf("%10s %10.3f %9.2f%% %9.2f%% %10.3f %8.3f %8lld\n", info.name.c_str(), 1e3 * sum.wall / each,
                100 * sum.wall / each / dense.wall, 100 * sum.cpu / each / dense.cpu, 1e3 * longest, density, (long long)step);
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace zt::opbench

int main(int argc, char** argv) {
  using namespace zt::opbench;
  // OpenMP reads this when it is loaded, before main: spinning threads would count as processor time.
  if (!std::getenv("OMP_WAIT_POLICY")) {
    setenv("OMP_WAIT_POLICY", "passive", 1);
    execv("/proc/self/exe", argv);
  }
  auto m = zt::testing::make_machine(zt::detect_isa(), argc > 1 ? std::atoi(argv[1]) : zt::physical_threads());
  auto number = [&](int i) { return std::atoll(argv[i]); };
  if (argc > 6) {
    bench({number(2), {number(3), number(4), number(5)}, number(6)}, m->ctx);
    return 0;
  }
  for (const Case& c : {Case{6, {21, 16, 16}, 64}, Case{12, {21, 30, 52}, 128}}) bench(c, m->ctx);
  return 0;
}
