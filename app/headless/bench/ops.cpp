#include "app/headless/bench/measure.h"
#include "kernels/api/conv.h"
#include "kernels/api/linear.h"

namespace zt::bench {
namespace {

struct LinearCase {
  int64_t rows, in, out;
};
// The embedded model at 128x128x33, then Wan2.1 1.3B at 256x256x17.
constexpr LinearCase kLinears[] = {{576, 320, 960}, {576, 320, 1280}, {576, 1280, 320}, {1280, 1536, 4608}, {1280, 1536, 8960}, {1280, 8960, 1536}};

struct ConvCase {
  int64_t channels, side;
};
// 3x3x3 convolutions of the decoder: the real one's four stages at 256x256, then the embedded model's last stages.
constexpr ConvCase kConvs[] = {{384, 32}, {384, 64}, {192, 128}, {96, 256}, {32, 64}, {16, 128}};

// Values small enough that sums of thousands stay finite in any type.
Tensor pattern(DType type, Shape shape, const ExecContext& ctx) {
  auto t = ctx.arena->make(type, shape);
  ZT_CHECK(t.ok());
  for (int64_t i = 0; i < shape.count(); ++i) store_float(t->data(), type, i, float(i * 7919 % 1021 - 510) * 1e-4f);
  return std::move(t).value();
}

}  // namespace

Report bench_ops(const ExecContext& ctx, DType type, int rounds) {
  Report report{"ops", machine_facts(ctx), {}};
  report.facts["precision"] = std::string(dtype_name(type));
  auto matmul = probe(type, ctx);
  auto add = [&](std::string what, std::string name, double flops, std::function<void()> run) {
    std::vector<std::function<void()>> turns = {std::move(run)};
    if (matmul) turns.push_back([&] { matmul->seconds(); });
    auto times = in_turns(rounds, turns);
    report.lines.push_back({std::move(what), std::move(name), times[0].median, flops / times[0].median / 1e9,
                            matmul ? matmul->flops() / times[1].median / 1e9 : 0});
  };
  for (const auto& c : kLinears) {
    Tensor x = pattern(type, {c.rows, c.in}, ctx), y = pattern(type, {c.rows, c.out}, ctx), w = pattern(type, {c.out, c.in}, ctx);
    LinearRows rows[] = {{w, {}}};
    auto packed = pack_linear({c.in, c.out, type, Activation::none}, rows, ctx);
    ZT_CHECK(packed.ok());
    add(fmt::format("linear [{}, {}] -> {}", c.rows, c.in, c.out), "linear", 2.0 * double(c.rows) * double(c.in) * double(c.out),
        [&] { (*packed)->run(x, y, ctx); });
  }
  for (const auto& c : kConvs) {
    ConvDesc d;
    d.in = d.out = c.channels, d.kt = 3, d.compute = d.result = type;
    Tensor w = pattern(type, {c.channels, c.channels, 3, 3, 3}, ctx), b = pattern(DType::f32, {c.channels}, ctx);
    auto packed = pack_conv(d, w, b, ctx);
    ZT_CHECK(packed.ok());
    Shape frame{c.side, c.side, c.channels};
    Tensor in[3] = {pattern(type, frame, ctx), pattern(type, frame, ctx), pattern(type, frame, ctx)}, out = pattern(type, frame, ctx);
    auto workspace = ctx.arena->make(DType::u8, {int64_t((*packed)->workspace_bytes(c.side, c.side, ctx)) + 64});
    ZT_CHECK(workspace.ok());
    const void* frames[] = {in[0].data(), in[1].data(), in[2].data()};
    void* result[] = {out.data()};
    double flops = 2.0 * 27 * double(c.side * c.side) * double(c.channels * c.channels);
    add(fmt::format("conv 3x3x3, {} channels, {}x{}", c.channels, c.side, c.side), "conv", flops,
        [&] { (*packed)->run(frames, result, c.side, c.side, workspace->data(), ctx); });
  }
  return report;
}

}  // namespace zt::bench
