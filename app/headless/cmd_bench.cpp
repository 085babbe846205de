#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/engine/machine.h"
#include "app/headless/bench/measure.h"
#include "app/engine/places.h"
#include "app/headless/print.h"
#include "app/headless/subcommand.h"

namespace zt {
namespace {

struct BenchOptions {
  std::string what, precision = "auto", device = "cpu", shape, size, part = "both", model;
  std::vector<std::string> attn;
  int threads = 0, rounds = 0;  // rounds: 0 = what suits the bench
  int64_t frames = 0, steps = 20;
  bool json = false, large = false;
};

// "WxH", or what is wrong with it.
Status read_size(const std::string& text, int64_t& width, int64_t& height) {
  long long w = 0, h = 0;
  int used = 0;
  if (std::sscanf(text.c_str(), "%lldx%lld%n", &w, &h, &used) != 2 || size_t(used) != text.size() || w < 16 || h < 16 || w > 8192 || h > 8192) {
    return invalid("--size {}: expected WIDTHxHEIGHT, each 16..8192", text);
  }
  width = w, height = h;
  return {};
}

Result<bench::Report> run_methods(const BenchOptions& o) {
  bench::MethodsBench m;
  m.job.size = {256, 256}, m.job.frames = 81;
  if (!o.size.empty()) ZT_RETURN_IF_ERROR(read_size(o.size, m.job.size.width, m.job.size.height));
  if (o.frames > 0) m.job.frames = o.frames;
  if (!o.model.empty()) m.job.model = o.model;
  m.job.steps = o.steps, m.job.precision = o.precision, m.job.threads = o.threads;
  m.specs = o.attn, m.rounds = o.rounds > 0 ? o.rounds : 1;
  return bench::bench_methods(m);
}

Result<bench::Report> run_bench(const BenchOptions& o, const ExecContext& ctx, DType type, int rounds) {
  if (o.what == "ops") return bench::bench_ops(ctx, type, rounds);
  if (o.what == "attention") return bench::bench_attention({o.attn, o.large}, ctx, type, rounds);
  if (!o.shape.empty()) {
    bench::RealShape s;
    s.model = o.shape;
    if (!o.size.empty()) ZT_RETURN_IF_ERROR(read_size(o.size, s.width, s.height));
    if (o.frames > 0) s.frames = o.frames;
    auto has = [&](const char* part) { return o.part == part || (o.part == "both" && std::string(part) != "tiled"); };
    s.transformer = has("transformer"), s.decode = has("decode"), s.tiled = has("tiled");
    return bench::bench_real(s, ctx, type, rounds);
  }
  ClipShape clip;
  if (!o.size.empty()) ZT_RETURN_IF_ERROR(read_size(o.size, clip.width, clip.height));
  if (o.frames > 0) clip.frames = o.frames;
  ZT_ASSIGN_OR_RETURN(std::string model, model_root(o.model.empty() ? JobSpec().model : o.model, find_places()));
  return bench::bench_whole(model, clip, o.steps, ctx, type, rounds);
}

Result<bench::Report> run_on_machine(const BenchOptions& o) {
  ZT_ASSIGN_OR_RETURN(auto machine, Machine::make());
  ExecContext& ctx = machine->ctx;
  if (o.threads > 0) ctx.threads = o.threads;
  if (o.device != "cpu" && o.what != "attention") return invalid("bench {}: on the CPU only; bench attention takes --device", o.what);
  ZT_ASSIGN_OR_RETURN(std::string device, machine->use_device(o.device));
  bool bf16 = o.precision == "bf16" || (o.precision == "auto" && (device == "cuda" || ctx.isa >= Isa::avx512_bf16));
  return run_bench(o, ctx, bf16 ? DType::bf16 : DType::f32, o.rounds > 0 ? o.rounds : 5);
}

int bench_main(const BenchOptions& o) {
  auto report = o.what == "methods" ? run_methods(o) : run_on_machine(o);
  if (!report.ok()) return print_status(report.status());
  o.json ? print_json(report->json()) : print_result(report->table());
  return 0;
}

}  // namespace

std::function<int()> setup_bench(CLI::App& app) {
  auto o = std::make_shared<BenchOptions>();
  app.add_option("what", o->what, "ops, attention, methods or render")
      ->required()
      ->check(CLI::IsMember({"ops", "attention", "methods", "render"}));
  app.add_option("--precision", o->precision, "auto, f32 or bf16")->check(CLI::IsMember({"auto", "f32", "bf16"}));
  app.add_option("--device", o->device, "attention: auto, cpu or cuda [cpu]")->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  app.add_option("--threads,-t", o->threads, "compute threads (default: all)")->check(CLI::Range(1, 1024));
  app.add_option("--rounds", o->rounds, "timed rounds; medians are printed [5; methods: 1]")->check(CLI::Range(1, 1000));
  app.add_option("--attn", o->attn,
                 "attention, methods: a method to measure, as in render; may stand more than once [all there are]")
      ->allow_extra_args(false);
  app.add_flag("--large", o->large, "attention: also 12 heads of 32,760 tokens, which takes minutes");
  app.add_option("--model", o->model, "methods, render: model folder (default: the embedded model)");
  app.add_option("--steps", o->steps, "methods, render: denoising steps")->check(CLI::Range(1, 1000));
  app.add_option("--shape", o->shape, "render: a real model's size with random weights: wan2.1-t2v-1.3b or wan2.1-t2v-14b");
  app.add_option("--size", o->size, "methods, render: WIDTHxHEIGHT");
  app.add_option("--frames", o->frames, "methods, render: frames, 4 n + 1")->check(CLI::Range(1, 100000));
  app.add_option("--part", o->part, "render --shape: transformer, decode, tiled (decode) or both of the first")
      ->check(CLI::IsMember({"transformer", "decode", "tiled", "both"}));
  app.add_flag("--json", o->json, "print JSON");
  return [o] { return bench_main(*o); };
}

}  // namespace zt
