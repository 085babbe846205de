// Convolutions of the VAE beside oneDNN's matmul and its convolution of whole frames.   bench_conv [f32|bf16] [threads] [outputs]
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/opbench/conv_bench.h"
#include "tests/support/testing.h"

namespace zt::opbench {
namespace {

struct Case {
  int64_t in, out;
  int kt, k;
  ConvSpace space;
  int64_t h, w;
};
// The decoder of Wan2.1 at 256x256 and its widest layers at 832x480, then the embedded model's at 128x128.
constexpr Case kCases[] = {{384, 384, 3, 3, ConvSpace::same, 32, 32},        {384, 384, 3, 3, ConvSpace::same, 64, 64},
                           {192, 192, 3, 3, ConvSpace::same, 128, 128},      {96, 96, 3, 3, ConvSpace::same, 256, 256},
                           {192, 96, 1, 3, ConvSpace::up2_nearest, 128, 128}, {384, 768, 3, 1, ConvSpace::same, 64, 64},
                           {96, 3, 3, 3, ConvSpace::same, 256, 256},         {3, 96, 3, 3, ConvSpace::same, 256, 256},
                           {16, 384, 3, 3, ConvSpace::same, 32, 32},         {96, 96, 1, 3, ConvSpace::down2, 256, 256},
                           {96, 96, 3, 3, ConvSpace::same, 480, 832},        {192, 192, 3, 3, ConvSpace::same, 240, 416},
                           {16, 16, 3, 3, ConvSpace::same, 128, 128},        {32, 32, 3, 3, ConvSpace::same, 64, 64},
                           {64, 64, 3, 3, ConvSpace::same, 32, 32},          {64, 64, 3, 3, ConvSpace::same, 16, 16},
                           {32, 16, 1, 3, ConvSpace::up2_nearest, 64, 64},   {16, 3, 3, 3, ConvSpace::same, 128, 128}};

int bench(int argc, char** argv) {
  DType type = argc > 1 && std::string(argv[1]) == "f32" ? DType::f32 : DType::bf16;
  auto m = testing::make_machine(detect_isa(), argc > 2 ? std::atoi(argv[2]) : physical_threads());
  int outputs = argc > 3 ? std::atoi(argv[3]) : 1;
  std::printf("%s, %d threads, %s, %d outputs a call\n%34s %10s %9s %9s %6s %6s %9s %9s\n", cpu_name().c_str(), m->ctx.threads,
              dtype_name(type).data(), outputs, "", "us", "GFLOP/s", "matmul", "share", "plain", "pack us", "first us");
  for (const Case& c : kCases) {
    ConvDesc d{c.in, c.out, c.kt, c.k, c.k, 1, c.space, type, type, false};
    ConvTiming t = time_conv(d, c.h, c.w, outputs, 2, m->ctx);
    const char* space[] = {"", "down", "up"};
    std::printf("%34s %10.1f %9.0f %9.0f %6.3f %6.3f %9.0f %9.0f\n",
                fmt::format("{} -> {} {}x{}x{} {} {}x{}", c.in, c.out, c.kt, c.k, c.k, space[size_t(c.space)], c.h, c.w).c_str(),
                t.seconds * 1e6, t.gflops, t.matmul_gflops, t.matmul_share, t.plain_ratio, t.pack_seconds * 1e6,
                t.first_seconds * 1e6);
  }
  return 0;
}

}  // namespace
}  // namespace zt::opbench

int main(int argc, char** argv) { return zt::opbench::bench(argc, argv); }
