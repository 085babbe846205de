// Dense attention beside oneDNN's matrix product.   bench_attention [f32|bf16] [threads] [heads nq nk head_dim] [--isa NAME]
// [--json]
//   bench_attention --shares [f32|bf16] [threads] [heads tokens head_dim] [--isa NAME]: sparse plans as a share of dense.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/opbench/attention_bench.h"
#include "tests/support/testing.h"

namespace zt::opbench {
namespace {

struct Case {
  int64_t heads, nq, nk, d;
};
// Wan-like sizes, the embedded model's self-attention, and cross-attention to 16 and 512 text tokens.
constexpr Case kCases[] = {{6, 5376, 5376, 64}, {12, 8192, 8192, 128}, {5, 576, 576, 64},    {5, 576, 16, 64},
                           {5, 576, 512, 64},   {12, 8192, 16, 128},   {12, 8192, 512, 128}, {1, 32760, 32760, 128}};

void print_shares(const std::vector<std::string>& args, DType type, const ExecContext& ctx) {
  std::vector<Case> sizes = {{6, 5376, 5376, 64}, {1, 32760, 32760, 128}};
  if (args.size() > 4) {
    int64_t n = std::atoll(args[3].c_str());
    sizes = {{std::atoll(args[2].c_str()), n, n, std::atoll(args[4].c_str())}};
  }
  for (const Case& c : sizes) {
    std::printf("%d heads, %d tokens, head_dim %d, %s, %s, %d threads\n", int(c.heads), int(c.nq), int(c.d),
                dtype_name(type).data(), isa_name(ctx.isa).data(), ctx.threads);
    std::printf("%32s %10s %9s %9s\n", "", "time", "of dense", "processor");
    for (const AttentionShare& s : attention_shares(c.heads, c.nq, c.d, type, 10, ctx)) {
      std::printf("%32s %8.4f s %7.2f %% %7.2f %%\n", s.what.c_str(), s.seconds, 100 * s.wall, 100 * s.cpu);
    }
    std::fflush(stdout);
  }
}

int bench(std::vector<std::string> args) {
  bool json = false, shares = false;
  Isa isa = detect_isa();
  for (size_t i = 0; i < args.size();) {
    if (args[i] == "--json") {
      json = true;
      args.erase(args.begin() + std::ptrdiff_t(i));
    } else if (args[i] == "--shares") {
      shares = true;
      args.erase(args.begin() + std::ptrdiff_t(i));
    } else if (args[i] == "--isa" && i + 1 < args.size()) {
      isa = std::min(isa, isa_from_name(args[i + 1]).value_or(isa));
      args.erase(args.begin() + std::ptrdiff_t(i), args.begin() + std::ptrdiff_t(i) + 2);
    } else {
      ++i;
    }
  }
  DType type = !args.empty() && args[0] == "f32" ? DType::f32 : DType::bf16;
  auto m = testing::make_machine(isa, args.size() > 1 ? std::atoi(args[1].c_str()) : physical_threads());
  if (shares) {
    print_shares(args, type, m->ctx);
    return 0;
  }
  std::vector<Case> cases(std::begin(kCases), std::end(kCases));
  if (args.size() > 5)
    cases = {
        {std::atoll(args[2].c_str()), std::atoll(args[3].c_str()), std::atoll(args[4].c_str()), std::atoll(args[5].c_str())}};
  if (json) {
    std::printf("{\"cpu\": \"%s\", \"threads\": %d, \"dtype\": \"%s\", \"cases\": [", cpu_name().c_str(), m->ctx.threads,
                dtype_name(type).data());
  } else {
    std::printf("%s, %d threads, %s; GFLOP/s by the clock and by processor time\n%26s %16s %8s %8s %8s %8s %6s %6s\n",
                cpu_name().c_str(), m->ctx.threads, dtype_name(type).data(), "heads x nq x nk x d", "executor", "clock",
                "library", "cpu", "library", "ratio", "cpu");
  }
  const char* separator = "";
  for (const Case& c : cases) {
    AttentionTiming t = time_attention(*AttentionPlan::dense(c.nq, c.nk), {1, c.heads, c.d, type, 0}, 3, m->ctx);
    if (json) {
      std::printf(
          "%s{\"heads\": %lld, \"nq\": %lld, \"nk\": %lld, \"head_dim\": %lld, \"executor\": \"%s\", \"gflops\": %.1f, "
          "\"library_gflops\": %.1f, "
          "\"cpu_gflops\": %.1f, \"library_cpu_gflops\": %.1f, \"ratio\": %.3f, \"cpu_ratio\": %.3f}",
          separator, (long long)c.heads, (long long)c.nq, (long long)c.nk, (long long)c.d, t.executor.c_str(), t.wall,
          t.library_wall, t.cpu, t.library_cpu, t.wall_ratio, t.cpu_ratio);
      separator = ", ";
    } else {
      std::printf("%26s %16s %8.0f %8.0f %8.0f %8.0f %6.3f %6.3f\n",
                  fmt::format("{} x {} x {} x {}", c.heads, c.nq, c.nk, c.d).c_str(), t.executor.c_str(), t.wall, t.library_wall,
                  t.cpu, t.library_cpu, t.wall_ratio, t.cpu_ratio);
      std::fflush(stdout);
    }
  }
  if (json) std::printf("]}\n");
  return 0;
}

}  // namespace
}  // namespace zt::opbench

int main(int argc, char** argv) {
  // OpenMP reads this when it is loaded, before main: spinning threads would count as processor time.
  if (!std::getenv("OMP_WAIT_POLICY")) {
    setenv("OMP_WAIT_POLICY", "passive", 1);
    execv("/proc/self/exe", argv);
  }
  return zt::opbench::bench({argv + 1, argv + argc});
}
