#include <algorithm>

#include "app/headless/attention_call.h"
#include "app/headless/bench/measure.h"
#include "model/policy/policy.h"

namespace zt::bench {
namespace {

struct Case {
  int64_t heads;
  Grid grid;
  int64_t head_dim;
  std::string text() const { return fmt::format("{} heads, {} tokens, head size {}", heads, grid.tokens(), head_dim); }
};

// Dense: the embedded model at 128x128x33 and 256x256x81, and the sizes the attention study was made at.
const Case kDense[] = {{5, {9, 8, 8}, 64}, {5, {21, 16, 16}, 64}, {6, {21, 16, 16}, 64}, {12, {8, 32, 32}, 128}};
const Case kSparse[] = {{5, {21, 16, 16}, 64}, {6, {21, 16, 16}, 64}};
const Case kLarge = {12, {21, 30, 52}, 128};  // Wan2.1 1.3B at 832x480x81

uint32_t next(uint32_t& state) { return state = state * 1664525u + 1013904223u; }

// Small, mixed in sign, different in every element: attention neither saturates nor is uniform.
void fill(const TensorView& t, uint32_t seed) {
  for (int64_t i = 0; i < t.count(); ++i) {
    float sum = 0;
    for (int j = 0; j < 4; ++j) sum += float(next(seed) >> 8) / float(1 << 24) - 0.5f;
    store_float(t.data, t.dtype, i, sum * 1.7f);  // variance close to 1
  }
}

Result<Tensor> filled(DType type, const Shape& shape, uint32_t seed, const ExecContext& ctx) {
  ZT_ASSIGN_OR_RETURN(Tensor host, host_arena(ctx).make(type, shape));
  fill(host, seed);
  if (!ctx.arena->memory()) return host;
  return to_device(host, type, shape, ctx);
}

struct Inputs {
  Tensor q, k, v, weight, bias;
  AttentionInputs views;

  static Result<Inputs> make(const Case& c, DType type, const ExecContext& ctx) {
    Inputs in;
    Shape shape{1, c.heads, c.grid.tokens(), c.head_dim};
    uint32_t seed = 17;
    for (Tensor* t : {&in.q, &in.k, &in.v}) {
      ZT_ASSIGN_OR_RETURN(*t, filled(type, shape, seed++, ctx));
    }
    // Methods with a linear part project it, as trained models do.
    ZT_ASSIGN_OR_RETURN(in.weight, filled(DType::f32, {c.head_dim, c.head_dim}, seed, ctx));
    ZT_ASSIGN_OR_RETURN(in.bias, filled(DType::f32, {c.head_dim}, seed, ctx));
    in.views.proj_weight = in.weight, in.views.proj_bias = in.bias;
    in.views.grid = c.grid, in.views.q = in.q, in.views.k = in.k, in.views.v = in.v;
    return in;
  }
};

// A tenth of the key blocks, drawn anew for every query block of every head, the same number in each row: what a dynamic
// method asks of a kernel, without a method's own cost.
Result<PlanPtr> random_blocks(int64_t heads, int64_t tokens, int block) {
  PlanParts p;
  p.heads = int(heads);
  p.q = p.k = Blocks::uniform(tokens, block);
  int64_t count = p.k.count(), keep = std::max<int64_t>(1, count / 10);
  std::vector<int32_t> blocks(static_cast<size_t>(count));
  uint32_t state = 1;
  p.row_offsets = {0};
  for (int64_t row = 0; row < heads * p.q.count(); ++row) {
    for (int64_t i = 0; i < count; ++i) blocks[size_t(i)] = int32_t(i);
    for (int64_t i = 0; i < keep; ++i) std::swap(blocks[size_t(i)], blocks[size_t(i + next(state) % uint64_t(count - i))]);
    std::sort(blocks.begin(), blocks.begin() + keep);
    p.cols.insert(p.cols.end(), blocks.begin(), blocks.begin() + keep);
    p.row_offsets.push_back(int64_t(p.cols.size()));
  }
  return AttentionPlan::make(std::move(p));
}

std::vector<std::string> all_methods() {
  std::vector<std::string> specs;
  for (const PolicyInfo& p : policy_table()) {
    if (p.name == "dense") continue;
    specs.push_back(p.name == "sla" ? "sla:keep=0.05" : p.name);
  }
  return specs;
}

struct Method {
  std::string name;
  double plan_s = 0;
  AttentionCall call;
};

Result<Table> sparse_table(const Case& c, const AttentionBench& bench, const ExecContext& ctx, DType type, int rounds) {
  Table table{fmt::format("attention methods, {}", c.text()),
              {"method", "implementation", "density", "planning ms", "run ms", "of dense", "useful GFLOP/s", "workspace MiB"},
              {}};
  ZT_ASSIGN_OR_RETURN(Inputs in, Inputs::make(c, type, ctx));
  std::vector<Method> methods;
  auto add = [&](std::string name, double plan_s, PlanPtr plan) -> Status {
    ZT_ASSIGN_OR_RETURN(AttentionCall call, AttentionCall::make(in.views, std::move(plan), "", ctx));
    methods.push_back({std::move(name), plan_s, std::move(call)});
    return {};
  };
  ZT_RETURN_IF_ERROR(add("dense", 0, AttentionPlan::dense(c.grid.tokens(), c.grid.tokens())));
  for (int block : {64, 128}) {
    ZT_ASSIGN_OR_RETURN(PlanPtr plan, random_blocks(c.heads, c.grid.tokens(), block));
    ZT_RETURN_IF_ERROR(add(fmt::format("random blocks of {}", block), 0, plan));
  }
  for (const std::string& spec : bench.specs.empty() ? all_methods() : bench.specs) {
    auto plan = plan_attention(spec, in.views, 3, ctx);
    if (plan.ok()) {
      ZT_RETURN_IF_ERROR(add(spec, plan->seconds, plan->plan));
    } else if (!bench.specs.empty()) {
      return plan.status();
    } else {  // a method that does not suit the shape is no reason to show none
      table.rows.push_back({spec, plan.status().message(), nullptr, nullptr, nullptr, nullptr, nullptr, nullptr});
    }
  }
  std::vector<std::function<void()>> turns;
  Status state;
  for (Method& m : methods) turns.push_back([&] {
    if (Status s = m.call.run(ctx); state.ok()) state = s;
  });
  std::vector<Timing> times = in_turns(rounds, turns);
  ZT_RETURN_IF_ERROR(state);
  for (size_t i = 0; i < methods.size(); ++i) {
    const Method& m = methods[i];
    double s = times[i].median;
    table.rows.push_back({m.name, m.call.implementation(), m.call.plan().density(), m.plan_s * 1e3, s * 1e3, s / times[0].median,
                          m.call.flops() / s / 1e9, double(m.call.workspace_bytes()) / double(1 << 20)});
  }
  return table;
}

}  // namespace

Result<Report> bench_attention(const AttentionBench& bench, const ExecContext& ctx, DType type, int rounds) {
  for (const std::string& spec : bench.specs) ZT_RETURN_IF_ERROR(make_policy(spec).status());  // before any work
  Report report{"attention", machine_facts(ctx), {}, {}};
  report.facts["precision"] = std::string(dtype_name(type));
  auto matmul = probe(type, ctx);
  for (const Case& c : kDense) {
    ZT_ASSIGN_OR_RETURN(Inputs in, Inputs::make(c, type, ctx));
    ZT_ASSIGN_OR_RETURN(AttentionCall call,
                        AttentionCall::make(in.views, AttentionPlan::dense(c.grid.tokens(), c.grid.tokens()), "", ctx));
    Status state;
    std::vector<std::function<void()>> turns = {[&] {
      if (Status s = call.run(ctx); state.ok()) state = s;
    }};
    if (matmul) turns.push_back([&] { matmul->seconds(); });
    auto times = in_turns(rounds, turns);
    ZT_RETURN_IF_ERROR(state);
    report.lines.push_back({"dense, " + c.text(), std::string(call.implementation()), times[0].median,
                            call.flops() / times[0].median / 1e9, matmul ? matmul->flops() / times[1].median / 1e9 : 0});
  }
  std::vector<Case> cases(std::begin(kSparse), std::end(kSparse));
  if (bench.large) cases.push_back(kLarge);
  for (const Case& c : cases) {
    ZT_ASSIGN_OR_RETURN(Table table, sparse_table(c, bench, ctx, type, rounds));
    report.tables.push_back(std::move(table));
  }
  return report;
}

}  // namespace zt::bench
