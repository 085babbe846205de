// attn: one attention call on tensors of a file, as the models make it, with its figures.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "app/engine/machine.h"
#include "app/engine/model_host.h"
#include "app/headless/attention_call.h"
#include "app/headless/print.h"
#include "app/headless/read_grid.h"
#include "app/headless/subcommand.h"
#include "app/media/tensor_file.h"
#include "kernels/api/select.h"
#include "model/dit/recall.h"
#include "model/io/safetensors.h"
#include "model/policy/policy.h"

namespace zt {
namespace {

struct Options {
  std::string qkv, grid, attn, precision = "f32", impl, output;
  int threads = 0, repeat = 3;
  bool recall = false, overwrite = false, json = false;
};

// The tensors of a file, in the type attention is to run in; they own what the inputs view.
struct Tensors {
  Tensor q, k, v, proj_weight, proj_bias;
};

// [H, N, D] of any float type.
Result<Tensor> read_heads(const Options& o, const char* name, DType type, const ExecContext& ctx) {
  ZT_ASSIGN_OR_RETURN(Tensor t, read_tensor("--qkv", o.qkv, name, 3, ctx));
  if (type == DType::f32) return t;
  ZT_ASSIGN_OR_RETURN(Tensor out, ctx.arena->make(type, t.shape()));
  convert_floats(t.data(), DType::f32, out.data(), type, t.view().count());
  return out;
}

Status read_inputs(const Options& o, DType type, Tensors& t, AttentionInputs& in, const ExecContext& ctx) {
  ZT_ASSIGN_OR_RETURN(in.grid, read_grid(o.grid));
  auto file = SafetensorsFile::open(o.qkv);
  if (!file.ok()) return invalid("--qkv: {}", file.status().message());
  ZT_ASSIGN_OR_RETURN(t.q, read_heads(o, "q", type, ctx));
  ZT_ASSIGN_OR_RETURN(t.k, read_heads(o, "k", type, ctx));
  ZT_ASSIGN_OR_RETURN(t.v, read_heads(o, "v", type, ctx));
  const Shape& s = t.q.shape();
  for (auto [name, other] : {std::pair{"k", &t.k}, std::pair{"v", &t.v}}) {
    if (other->shape() != s)
      return invalid("--qkv: tensor `{}` is {}, `q` is {}; they must be equal", name, other->shape().str(), s.str());
  }
  // The product of three sides may not fit 64 bits; that of two does.
  int64_t th = in.grid.t * in.grid.h;
  if (s[1] % th != 0 || s[1] / th != in.grid.w) return invalid("--grid {}: the tensors hold {} tokens", o.grid, s[1]);
  if (file->tensors.count("proj_l.weight") != file->tensors.count("proj_l.bias")) {
    return invalid("--qkv: {} has one of `proj_l.weight` and `proj_l.bias`; give both or neither", o.qkv);
  }
  if (file->tensors.count("proj_l.weight")) {
    ZT_ASSIGN_OR_RETURN(t.proj_weight, read_tensor("--qkv", o.qkv, "proj_l.weight", 2, ctx));
    ZT_ASSIGN_OR_RETURN(t.proj_bias, read_tensor("--qkv", o.qkv, "proj_l.bias", 1, ctx));
    if (t.proj_weight.shape() != Shape{s[2], s[2]} || t.proj_bias.shape() != Shape{s[2]}) {
      return invalid("--qkv: proj_l is {} and {}, heads of {} channels need {} and {}", t.proj_weight.shape().str(),
                     t.proj_bias.shape().str(), s[2], Shape{s[2], s[2]}.str(), Shape{s[2]}.str());
    }
  }
  Shape batch{1, s[0], s[1], s[2]};
  in.q = t.q.view().reshape(batch), in.k = t.k.view().reshape(batch), in.v = t.v.view().reshape(batch);
  in.proj_weight = t.proj_weight, in.proj_bias = t.proj_bias;
  return {};
}

// Fastest of `repeat` runs after one that nobody times.
Result<double> fastest_run(AttentionCall& call, int repeat, const ExecContext& ctx) {
  ZT_RETURN_IF_ERROR(call.run(ctx));
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < repeat; ++i) {
    auto begin = std::chrono::steady_clock::now();
    ZT_RETURN_IF_ERROR(call.run(ctx));
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return best;
}

// Against dense attention on the same tensors, over all rows and heads.
Status add_recall(const AttentionInputs& in, const AttentionCall& call, nlohmann::ordered_json& j, const ExecContext& ctx) {
  KeptShare share;
  double error = 0, norm = 0;
  if (!is_exact(call.plan())) {
    int64_t n = in.q.dim(2);
    ZT_ASSIGN_OR_RETURN(AttentionCall dense, AttentionCall::make(in, AttentionPlan::dense(n, n), "", ctx));
    ZT_RETURN_IF_ERROR(dense.run(ctx));
    size_t rows = size_t(call.lse().count());
    share = kept_share({call.lse().as<float>(), rows}, {dense.lse().as<float>(), rows});
    std::vector<double> errors(size_t(in.heads())), norms(errors.size());
    head_errors({call.out().select(0, 0), dense.out().select(0, 0), errors, norms}, ctx);
    for (double e : errors) error += e;
    for (double e : norms) norm += e;
  }
  j["recall"] = share.mean, j["recall_worst"] = share.worst, j["rel_l2"] = norm > 0 ? std::sqrt(error / norm) : 0.0;
  return {};
}

Status write_output(const Options& o, const AttentionInputs& in, const AttentionCall& call, const ExecContext& ctx) {
  int64_t heads = in.heads(), n = in.q.dim(2), d = in.head_dim();
  ZT_ASSIGN_OR_RETURN(auto file, TensorFile::open(o.output, o.overwrite,
                                                  {{"out", DType::f32, {heads, n, d}}, {"lse", DType::f32, {heads, n}}}, ""));
  ZT_ASSIGN_OR_RETURN(Tensor head, ctx.arena->make(DType::f32, {n, d}));
  for (int64_t h = 0; h < heads; ++h) {
    TensorView from = call.out().select(0, 0).select(0, h);
    convert_floats(from.data, from.dtype, head.data(), DType::f32, from.count());
    ZT_RETURN_IF_ERROR(file->write(head.data(), head.view().bytes()));
  }
  ZT_RETURN_IF_ERROR(file->write(call.lse().data, call.lse().bytes()));
  return file->commit();
}

Status run(const Options& o) {
  if (!o.output.empty()) ZT_RETURN_IF_ERROR(check_output(o.output, o.overwrite));
  ZT_RETURN_IF_ERROR(make_policy(o.attn).status());  // before any work
  ZT_ASSIGN_OR_RETURN(auto machine, Machine::make());
  ExecContext& ctx = machine->ctx;
  if (o.threads > 0) ctx.threads = o.threads;
  ctx.warn = [](std::string_view line) { print_note(line); };
  machine->arena.set_budget(available_memory());

  Tensors tensors;
  AttentionInputs in;
  ZT_RETURN_IF_ERROR(read_inputs(o, o.precision == "bf16" ? DType::bf16 : DType::f32, tensors, in, ctx));
  ZT_ASSIGN_OR_RETURN(TimedPlan planned, plan_attention(o.attn, in, o.repeat, ctx));
  ZT_ASSIGN_OR_RETURN(AttentionCall call, AttentionCall::make(in, planned.plan, o.impl, ctx));
  ZT_ASSIGN_OR_RETURN(double seconds, fastest_run(call, o.repeat, ctx));
  nlohmann::ordered_json j;
  j["attn"] = o.attn, j["grid"] = o.grid;
  j["heads"] = in.heads(), j["tokens"] = in.q.dim(2), j["head_dim"] = in.head_dim();
  j["precision"] = o.precision, j["implementation"] = call.implementation();
  j["density"] = planned.plan->density(), j["plan_ms"] = planned.seconds * 1e3, j["run_ms"] = seconds * 1e3;
  j["gflops"] = call.flops() / seconds / 1e9, j["workspace_bytes"] = call.workspace_bytes();
  if (o.recall) ZT_RETURN_IF_ERROR(add_recall(in, call, j, ctx));
  j["hash"] = hex(planned.plan->hash());
  if (!o.output.empty()) ZT_RETURN_IF_ERROR(write_output(o, in, call, ctx));
  o.json ? print_json(j) : print_result(figures_text(j));
  return {};
}

}  // namespace

std::function<int()> setup_attn(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("--qkv", o->qkv,
                 "safetensors with q, k, v [H, N, D] (f32, bf16 or f16), every value finite; optional proj_l.weight [D, D] and "
                 "proj_l.bias [D]")
      ->required();
  app.add_option("--grid", o->grid, "token grid as TxHxW, N tokens")->required();
  app.add_option("--attn", o->attn, "attention method: name[:key=value,...] or @FILE; see `zoetrope policies`")->required();
  app.add_option("--precision", o->precision, "f32 or bf16 [f32]")->check(CLI::IsMember({"f32", "bf16"}));
  app.add_option("--impl", o->impl, "the implementation that runs it, as ZOETROPE_IMPL=attention=NAME; see `zoetrope doctor`");
  app.add_flag("--recall", o->recall, "compare with dense attention over all rows and heads");
  app.add_option("--repeat", o->repeat, "timed plannings and runs, each after an untimed one; the fastest counts [3]")->check(CLI::Range(1, 100000));
  app.add_option("--threads,-t", o->threads, "compute threads (default: all)")->check(CLI::Range(1, 1024));
  app.add_option("-o,--output", o->output, "write `out` [H, N, D] and `lse` [H, N] here, as f32 safetensors");
  app.add_flag("--overwrite", o->overwrite, "replace the output");
  app.add_flag("--json", o->json, "print the figures as JSON");
  return [o] { return print_status(run(*o)); };
}

}  // namespace zt
