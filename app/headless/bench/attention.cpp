#include "app/headless/bench/measure.h"
#include "kernels/api/attention.h"

namespace zt::bench {
namespace {

struct Case {
  int64_t heads, tokens, head_dim;
};

// The embedded model at 128x128x33 and 256x256x81, and the sizes the attention study was made at.
constexpr Case kCases[] = {{5, 576, 64}, {5, 5376, 64}, {6, 5376, 64}, {12, 8192, 128}};

// Small, mixed in sign, different in every element: attention neither saturates nor is uniform.
void fill(const TensorView& t, uint32_t seed) {
  uint32_t s = seed;
  for (int64_t i = 0; i < t.count(); ++i) {
    float sum = 0;
    for (int j = 0; j < 4; ++j) s = s * 1664525u + 1013904223u, sum += float(s >> 8) / float(1 << 24) - 0.5f;
    store_float(t.data, t.dtype, i, sum * 1.7f);  // variance close to 1
  }
}

}  // namespace

Report bench_attention(const ExecContext& ctx, DType type, int rounds) {
  Report report{"attention", machine_facts(ctx), {}};
  report.facts["precision"] = std::string(dtype_name(type));
  auto matmul = probe(type, ctx);
  for (const Case& c : kCases) {
    Shape shape{1, c.heads, c.tokens, c.head_dim};
    std::vector<Tensor> t;
    for (uint32_t i = 0; i < 4; ++i) {
      auto r = ctx.arena->make(type, shape);
      ZT_CHECK(r.ok());
      t.push_back(std::move(r).value());
      if (i < 3) fill(t.back(), 17 + i);
    }
    PlanPtr plan = AttentionPlan::dense(c.tokens, c.tokens);
    AttentionProblem problem{1, c.heads, c.head_dim, type, 0};
    const auto& executor = choose_attention(*plan, problem, ctx);
    auto workspace = ctx.arena->make(DType::u8, {int64_t(executor.workspace_bytes(*plan, problem, ctx)) + 64});
    ZT_CHECK(workspace.ok());
    AttentionArgs args{t[0], t[1], t[2], t[3], {}};
    std::vector<std::function<void()>> turns = {[&] { executor.run(*plan, problem, args, workspace->data(), ctx); }};
    if (matmul) turns.push_back([&] { matmul->seconds(); });
    auto times = in_turns(rounds, turns);
    double flops = plan->flops(c.heads, c.head_dim);
    report.lines.push_back({fmt::format("dense, {} heads, {} tokens, head size {}", c.heads, c.tokens, c.head_dim), std::string(executor.name()),
                            times[0].median, flops / times[0].median / 1e9, matmul ? matmul->flops() / times[1].median / 1e9 : 0});
  }
  return report;
}

}  // namespace zt::bench
