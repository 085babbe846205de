// Linear layers beside oneDNN's plain matmul of the same shape.   bench_linear [f32|bf16] [threads] [rows in out]
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/opbench/linear_bench.h"
#include "tests/support/testing.h"

namespace zt::opbench {
namespace {

struct Shape3 {
  int64_t rows, in, out;
};
// The embedded model, then Wan2.1 1.3B at 256x256x17 and at 832x480 with 1 and 21 latent frames.
constexpr Shape3 kShapes[] = {{576, 320, 320},    {576, 320, 960},    {576, 320, 1280},   {576, 1280, 320},
                              {1280, 1536, 1536}, {1280, 1536, 4608}, {1280, 1536, 8960}, {1280, 8960, 1536},
                              {3120, 1536, 1536}, {3120, 1536, 8960}, {3120, 8960, 1536}, {32760, 1536, 1536}};

int bench(int argc, char** argv) {
  DType type = argc > 1 && std::string(argv[1]) == "f32" ? DType::f32 : DType::bf16;
  auto m = testing::make_machine(detect_isa(), argc > 2 ? std::atoi(argv[2]) : physical_threads());
  std::vector<Shape3> shapes(std::begin(kShapes), std::end(kShapes));
  if (argc > 5) shapes = {{std::atoll(argv[3]), std::atoll(argv[4]), std::atoll(argv[5])}};
  std::printf("%s, %d threads, %s\n%24s %10s %9s %9s %6s %9s %9s\n", cpu_name().c_str(), m->ctx.threads, dtype_name(type).data(),
              "rows x in -> out", "us", "GFLOP/s", "library", "ratio", "pack us", "first us");
  for (const Shape3& s : shapes) {
    LinearTiming t = time_linear({s.in, s.out, type, Activation::none}, s.rows, 3, m->ctx);
    double flops = 2e-9 * double(s.rows) * double(s.in) * double(s.out);
    std::printf("%24s %10.1f %9.0f %9.0f %6.3f %9.0f %9.0f\n", fmt::format("{} x {} -> {}", s.rows, s.in, s.out).c_str(),
                t.seconds * 1e6, flops / t.seconds, t.library_seconds > 0 ? flops / t.library_seconds : 0, t.ratio,
                t.pack_seconds * 1e6, t.first_seconds * 1e6);
  }
  return 0;
}

}  // namespace
}  // namespace zt::opbench

int main(int argc, char** argv) { return zt::opbench::bench(argc, argv); }
