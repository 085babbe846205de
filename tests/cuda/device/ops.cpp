#include <algorithm>
#include <map>

#include "kernels/api/attention.h"
#include "kernels/api/conv.h"
#include "kernels/api/linear.h"
#include "kernels/api/ops.h"
#include "tests/cuda/device/json.h"
#include "tests/cuda/device/parts.h"
#include "tests/support/cuda_ops/checker.h"

namespace zt::testing {
namespace {

// Median seconds of a few calls after one that warms up.
double median_seconds(const std::function<void()>& call, const ExecContext& ctx, int rounds = 5) {
  call();
  need(wait_for_device(ctx));
  std::vector<double> times;
  for (int i = 0; i < rounds; ++i) {
    const double begin = now_seconds();
    call();
    need(wait_for_device(ctx));
    times.push_back(now_seconds() - begin);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

void report_rate(const std::string& what, double seconds, double flops, double bytes) {
  nlohmann::json j{{"event", "rate"}, {"what", what}, {"ms", seconds * 1e3}};
  if (flops > 0) j["tflops"] = flops / seconds / 1e12;
  if (bytes > 0) j["gb_s"] = bytes / seconds / 1e9;
  print_line(j);
}

Tensor noise(DType t, const Shape& s, const ExecContext& ctx, float scale = 1) {
  Tensor host = need(host_arena(ctx).make(DType::f32, s));
  Dice dice(uint64_t(s.count()));
  // Sixteen thousand numbers, repeated: making billions would take longer than what is measured.
  std::vector<float> values(1 << 14);
  for (float& v : values) v = dice.normal() * scale;
  for (int64_t i = 0; i < s.count(); ++i) host.as<float>()[i] = values[size_t(i) % values.size()];
  return need(to_device(host, t, s, ctx));
}

void time_linear(int64_t rows, int64_t in, int64_t out, Activation act, const ExecContext& ctx) {
  Tensor weight = need(host_arena(ctx).zeros(DType::bf16, {out, in}));
  LinearRows part{weight, {}};
  auto packed = need(pack_linear({in, out, DType::bf16, act}, {&part, 1}, ctx));
  Tensor x = noise(DType::bf16, {rows, in}, ctx), y = need(ctx.arena->make(DType::bf16, {rows, out}));
  double s = median_seconds([&] { packed->run(x, y, ctx); }, ctx);
  report_rate(fmt::format("linear {} x {} -> {}, act {}", rows, in, out, int(act)), s, 2.0 * double(rows) * double(in) * double(out), 0);
}

void time_attention(int64_t heads, int64_t n, int64_t d, const ExecContext& ctx) {
  const int64_t width = heads * d;
  Tensor qkv = noise(DType::bf16, {n, 3 * width}, ctx), out = need(ctx.arena->make(DType::bf16, {n, width}));
  auto view = [&](const Tensor& m, int64_t column) {
    TensorView v = m.view().overlay(DType::bf16, {1, heads, n, d}, size_t(column) * 2);
    v.strides = {n * m.view().stride(0), d, m.view().stride(0), 1, 0};
    return v;
  };
  AttentionArgs a{view(qkv, 0), view(qkv, width), view(qkv, 2 * width), view(out, 0), {}};
  AttentionProblem p{1, heads, d, DType::bf16, 0, false};
  PlanPtr plan = AttentionPlan::dense(n, n);
  for (const auto& e : ctx.ops->attention) {
    if (!e->why_not(*plan, p, ctx).empty()) continue;
    Tensor workspace = need(ctx.arena->make(DType::u8, {int64_t(e->workspace_bytes(*plan, p, ctx)) + 1}));
    double s = median_seconds([&] { e->run(*plan, p, a, workspace.data(), ctx); }, ctx, 3);
    report_rate(fmt::format("attention by {}, {} heads, {} tokens, d {}", e->name(), heads, n, d), s, plan->flops(heads, d), 0);
  }
}

}  // namespace

bool check_ops(const ExecContext& host, const ExecContext& device, const std::string& only) {
  bool well = true;
  for (const OpCheck& check : op_checks()) {
    if (!only.empty() && only != check.name) continue;
    Checker checker(host, device, true);
    const double begin = now_seconds();
    std::string error;
    try {
      check.run(checker);
    } catch (const std::exception& e) {
      error = e.what();
    }
    nlohmann::json bad = nlohmann::json::array();
    std::map<std::string, double> worst;  // share of its bound
    for (const Finding& f : checker.findings()) {
      double share = f.bound > 0 ? f.error / f.bound : f.error > 0 ? 1e30 : 0;
      worst[f.op] = std::max(worst[f.op], f.ok() ? share : std::max(share, 1e30));
      if (!f.ok() && bad.size() < 12) bad.push_back({{"what", f.op + ": " + f.what}, {"error", fmt::format("{:.3g}", f.error)}, {"bound", f.bound}});
    }
    const bool ok = error.empty() && bad.empty() && !checker.findings().empty();
    print_line({{"event", "op"}, {"op", check.name}, {"ok", ok}, {"compared", checker.findings().size()}, {"worst_share_of_bound", worst},
                {"seconds", now_seconds() - begin}, {"error", error}, {"bad", bad}});
    well = well && ok;
    if (Status s = wait_for_device(device); s.code() == Code::kDeviceLost) throw Bug(s.message());  // nothing more will run
  }
  return well;
}

bool time_ops(const ExecContext&, const ExecContext& ctx) {
  time_linear(32760, 1536, 4608, Activation::none, ctx);
  time_linear(32760, 1536, 8960, Activation::gelu_tanh, ctx);
  time_linear(32760, 8960, 1536, Activation::none, ctx);
  {
    Tensor x = noise(DType::f32, {32760, 1536}, ctx), y = noise(DType::bf16, {32760, 1536}, ctx), out = need(ctx.arena->make(DType::bf16, {32760, 1536}));
    Tensor m = noise(DType::f32, {3, 1, 1536}, ctx, 0.1f);
    NormArgs a;
    a.x = x, a.y = y, a.out = out, a.add_one = true;
    a.gate = m.view().select(0, 0), a.scale = m.view().select(0, 1), a.shift = m.view().select(0, 2);
    report_rate("norm with residual, 32760 x 1536", median_seconds([&] { norm(a, ctx); }, ctx), 0, 32760.0 * 1536 * (4 + 4 + 2 + 2));
    Tensor w = noise(DType::f32, {1536}, ctx), cos = noise(DType::f32, {32760, 64}, ctx);
    report_rate("qk_norm_rope, 32760 x 1536", median_seconds([&] { qk_norm_rope({out, w, cos, cos, 12, 1e-6f, out}, ctx); }, ctx), 0, 32760.0 * 1536 * 4);
    report_rate("elementwise add, 32760 x 1536 bf16", median_seconds([&] { elementwise({Elementwise::add, out, y, out}, ctx); }, ctx), 0, 32760.0 * 1536 * 6);
  }
  {
    ConvDesc d{.in = 96, .out = 96, .kt = 3, .compute = DType::bf16, .result = DType::bf16};
    Tensor weight = need(host_arena(ctx).zeros(DType::bf16, {96, 96, 3, 3, 3}));
    auto packed = need(pack_conv(d, weight, {}, ctx));
    Tensor in = noise(DType::bf16, {3, 480 * 832 * 96}, ctx), out = need(ctx.arena->make(DType::bf16, {480 * 832 * 96}));
    Tensor workspace = need(ctx.arena->make(DType::u8, {int64_t(packed->workspace_bytes(480, 832, ctx)) + 1}));
    std::vector<const void*> frames;
    for (int i = 0; i < 3; ++i) frames.push_back(in.view().select(0, i).data);
    void* to = out.data();
    report_rate("convolution 3x3x3, 96 -> 96, 480x832", median_seconds([&] { packed->run(frames, {&to, 1}, 480, 832, workspace.data(), ctx); }, ctx),
                2.0 * 480 * 832 * 96 * 96 * 27, 0);
  }
  time_attention(12, 8190, 128, ctx);
  time_attention(1, 6240, 384, ctx);
  return true;
}

}  // namespace zt::testing
