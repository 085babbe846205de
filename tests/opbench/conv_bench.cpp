#include "tests/opbench/conv_bench.h"

#include <dnnl.hpp>

#include "kernels/api/op_table.h"
#include "tests/opbench/timing.h"
#include "tests/support/testing.h"

namespace zt::opbench {
namespace {

using dnnl::convolution_forward;
using dnnl::memory;

// oneDNN's own convolution of kt whole frames in one dense buffer, on its own threads: what a program without strips
// would call, after having gathered the frames.
class PlainConv {
 public:
  PlainConv(const ConvDesc& d, int64_t h, int64_t w) {
    auto type = d.compute == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
    int64_t ph = (d.kh - 1) / 2, pw = (d.kw - 1) / 2;
    memory::desc src({1, d.in, d.kt, h, w}, type, memory::format_tag::ndhwc);
    memory::desc weights({d.out, d.in, d.kt, d.kh, d.kw}, type, memory::format_tag::any);
    memory::desc bias({d.out}, memory::data_type::f32, memory::format_tag::a);
    memory::desc dst({1, d.out, 1, h, w}, type, memory::format_tag::ndhwc);
    convolution_forward::primitive_desc pd(
        convolution_forward::desc(dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, src, weights, bias,
                                  dst, {1, 1, 1}, {0, ph, pw}, {0, ph, pw}),
        engine_);
    conv_ = convolution_forward(pd);
    args_ = {{DNNL_ARG_SRC, filled(src)},
             {DNNL_ARG_WEIGHTS, filled(pd.weights_desc())},
             {DNNL_ARG_BIAS, filled(bias)},
             {DNNL_ARG_DST, filled(dst)}};
  }
  void run() {
    conv_.execute(stream_, args_);
    stream_.wait();
  }

 private:
  memory filled(const memory::desc& d) {
    memory m(d, engine_);
    auto* p = static_cast<uint16_t*>(m.get_data_handle());
    for (size_t i = 0; i < d.get_size() / 2; ++i) p[i] = uint16_t(0x3c00u + i % 251);
    return m;
  }
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  convolution_forward conv_;
  std::unordered_map<int, memory> args_;
};

}  // namespace

ConvTiming time_conv(const ConvDesc& d, int64_t h, int64_t w, int outputs, double budget_seconds, const ExecContext& ctx) {
  Arena& arena = *ctx.arena;
  Tensor weight = testing::random_tensor(arena, DType::bf16, {d.out, d.in, d.kt, d.kh, d.kw}, 1, 0.02f);
  Tensor bias = testing::random_tensor(arena, DType::f32, {d.out}, 2);
  ConvSize size = conv_out_size(d, h, w);
  std::vector<Tensor> keep;
  std::vector<const void*> in;
  std::vector<void*> out;
  for (int i = 0; i < d.kt + (outputs - 1) * d.stride_t; ++i) {
    keep.push_back(testing::random_tensor(arena, d.compute, {h, w, d.in}, 3 + uint64_t(i)));
    in.push_back(keep.back().data());
  }
  for (int i = 0; i < outputs; ++i) {
    keep.push_back(testing::must(arena.zeros(d.result, {size.h, size.w, d.out})));
    out.push_back(keep.back().data());
  }
  ConvTiming t;
  std::unique_ptr<PackedConv> conv;
  Tensor workspace;
  t.pack_seconds = seconds_of([&] { conv = testing::must(pack_conv(d, weight, bias, ctx)); });
  auto run = [&] { conv->run(in, out, h, w, workspace.data(), ctx); };
  t.first_seconds = seconds_of([&] {
    workspace = testing::must(arena.make(DType::u8, {int64_t(conv->workspace_bytes(h, w, ctx)) + 64}));
    run();
  });
  std::vector<std::function<void()>> turns = {run};
  auto matmul = ctx.ops->matmul_probe ? ctx.ops->matmul_probe({2048, 2048, 2048, d.compute}, ctx) : nullptr;
  turns.push_back([&] { if (matmul) matmul->seconds(); });
  std::unique_ptr<PlainConv> plain;
  if (d.space == ConvSpace::same && !d.accumulate && d.result == d.compute) plain = std::make_unique<PlainConv>(d, h, w);
  if (plain) turns.push_back([&] { plain->run(); });
  auto times = in_turns(budget_seconds, turns);
  t.seconds = median(times[0]);
  double flops = 2e-9 * double(outputs * size.h * size.w * d.out * d.in) * double(d.kt * d.kh * d.kw);
  t.gflops = flops / t.seconds;
  if (matmul) {
    t.matmul_gflops = matmul->flops() * 1e-9 / median(times[1]);
    t.matmul_share = median_ratio(times[1], times[0]) * flops / (matmul->flops() * 1e-9);
  }
  if (plain) t.plain_ratio = median_ratio(times[2], times[0]) * outputs;
  return t;
}

}  // namespace zt::opbench
