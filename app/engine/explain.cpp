#include "app/engine/explain.h"

#include "kernels/api/attention.h"
#include "kernels/api/conv.h"
#include "kernels/api/linear.h"
#include "kernels/api/op_table.h"

namespace zt {
namespace {

// "op (shape): avx512 cannot: reason; avx2 runs; ref would": the first that can is the one that runs.
template <class List, class WhyNot>
std::string line(const std::string& what, const List& candidates, WhyNot&& why_not) {
  std::string out = what + ": ";
  bool chosen = false;
  for (const auto& c : candidates) {
    std::string why = why_not(*c);
    out += fmt::format("{}{} {}", out.ends_with(": ") ? "" : "; ", c->name(),
                       !why.empty() ? "cannot: " + why
                       : chosen     ? "could"
                                    : "runs");
    chosen |= why.empty();
  }
  return out;
}

}  // namespace

std::vector<std::string> explain_choices(const ModelFolder& model, const Shape& latent, DType compute, const ExecContext& ctx) {
  const TransformerConfig& t = model.transformer_config;
  std::vector<std::string> lines;
  int64_t tokens = latent[1] * (latent[2] / t.patch_h) * (latent[3] / t.patch_w);
  AttentionProblem problem;
  problem.heads = t.heads, problem.head_dim = t.head_dim, problem.dtype = compute;
  auto plan = AttentionPlan::dense(tokens, tokens);
  lines.push_back(
      line(fmt::format("attention, {} heads, {} tokens, head size {}, {}", t.heads, tokens, t.head_dim, dtype_name(compute)),
           ctx.ops->attention, [&](const AttentionExecutor& e) { return e.why_not(*plan, problem, ctx); }));
  LinearDesc linear;
  linear.in = t.dim(), linear.out = t.ffn_dim, linear.compute = compute;
  lines.push_back(line(fmt::format("linear, {} to {}, {}", linear.in, linear.out, dtype_name(compute)), ctx.ops->linear,
                       [&](const LinearBackend& b) { return b.why_not(linear, ctx); }));
  ConvDesc conv;
  conv.in = conv.out = model.vae_config.base_dim, conv.kt = 3, conv.compute = conv.result = compute;
  lines.push_back(line(fmt::format("convolution, {} channels, 3x3x3, {}", conv.in, dtype_name(compute)), ctx.ops->conv,
                       [&](const ConvBackend& b) { return b.why_not(conv, ctx); }));
  return lines;
}

}  // namespace zt
