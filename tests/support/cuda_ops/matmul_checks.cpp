#include <algorithm>

#include "kernels/api/conv.h"
#include "kernels/api/linear.h"
#include "tests/support/cuda_ops/checks.h"

namespace zt::testing {
namespace {

constexpr DType kTypes[] = {DType::f32, DType::bf16};

struct Conv {
  ConvDesc desc;
  int64_t h, w;
  int outputs = 1;
  std::vector<int> nulls{};
};

void check_one(Checker& c, const Conv& test) {
  const ConvDesc& d = test.desc;
  const float scale = 1.f / std::sqrt(float(d.in * d.kt * d.kh * d.kw));
  Twin weight = c.random(DType::f32, {d.out, d.in, d.kt, d.kh, d.kw}, 1, scale), bias = c.random(DType::f32, {d.out}, 2);
  const ConvSize size = conv_out_size(d, test.h, test.w);
  std::vector<Twin> in, out;
  for (int i = 0; i < d.kt + (test.outputs - 1) * d.stride_t; ++i) in.push_back(c.random(d.compute, {test.h, test.w, d.in}, 100 + uint64_t(i)));
  constexpr int64_t kGuard = 64;
  for (int i = 0; i < test.outputs; ++i)
    out.push_back(c.random(d.result, {size.h * size.w * d.out + 2 * kGuard}, 200 + uint64_t(i)).slice(0, kGuard, size.h * size.w * d.out));
  // In units of last place (u) of bf16: both sides round the result, u^2/12 each, and the library may round the bias and, where it
  // adds to what is there, the sum before the bias. u^2 is 2.6e-5 of the mean square over a binade: 2.6e-5 * 3/12 and * 5/12, half
  // more for samples of some hundred values.
  const double bound = d.result == DType::f32 ? 1e-10 : d.accumulate ? 1.6e-5 : 8e-6;
  c.compare("conv", fmt::format("{} -> {}, {}x{}x{}, space {}, {}x{}, {} -> {}, add {}", d.in, d.out, d.kt, d.kh, d.kw, int(d.space), test.h,
                                test.w, dtype_name(d.compute), dtype_name(d.result), d.accumulate),
            bound, out, [&](const Checker::Side& s, const ExecContext& ctx) {
              auto packed = need(pack_conv(d, weight.view[0], bias.view[0], ctx));
              Tensor workspace = need(ctx.arena->make(DType::u8, {int64_t(packed->workspace_bytes(test.h, test.w, ctx)) + 1}));
              if (packed->workspace_bytes(test.h, test.w, ctx) != conv_bytes(d, test.h, test.w, ctx).workspace) throw Bug("workspace as told");
              std::vector<const void*> from;
              std::vector<void*> to;
              for (size_t i = 0; i < in.size(); ++i) {
                bool null = std::find(test.nulls.begin(), test.nulls.end(), int(i)) != test.nulls.end();
                from.push_back(null ? nullptr : s(in[i]).data);
              }
              for (const Twin& t : out) to.push_back(s(t).data);
              packed->run(from, to, test.h, test.w, workspace.data(), ctx);
              need(wait_for_device(ctx));
            });
}

}  // namespace

void check_linear(Checker& c) {
  struct Size {
    int64_t rows, in, out;
  };
  std::vector<Size> sizes = {{1, 8, 8}, {5, 24, 16}, {7, 13, 9}, {33, 64, 40}, {3, 1, 1}, {2, 17, 130}};
  if (c.large()) sizes.insert(sizes.end(), {{1, 1536, 9216}, {256, 1536, 4608}, {130, 1536, 8960}, {67, 8960, 1536}, {128, 4096, 1536}});
  for (const Size& size : sizes) {
    for (int variant = 0; variant < 12; ++variant) {
      LinearDesc d{size.in, size.out, kTypes[variant % 2], Activation(variant % 3)};
      const DType to = kTypes[variant / 2 % 2];
      const float scale = 1.f / std::sqrt(float(size.in));
      // Two parts, one of bf16 without a bias.
      const int64_t first = (size.out + 1) / 2;
      Twin w0 = c.random(DType::f32, {first, size.in}, 1, scale), w1 = c.random(DType::bf16, {size.out - first, size.in}, 2, scale),
           b0 = c.random(DType::bf16, {first}, 3), x = c.rows(d.compute, size.rows, size.in, 4, variant < 6 ? 8 : 3),
           y = c.rows(to, size.rows, size.out, 5, variant < 6 ? 8 : 3);
      // An activation meets a rounded product (SiLU) or a rounded bias (GELU), and at negative inputs its slope is larger than itself.
      const double bound = to == DType::f32 ? 1e-10 : d.act != Activation::none ? 4e-5 : 8e-6;
      if (c.large() && size.rows * size.in * size.out > int64_t(1) << 26 && variant > 3) continue;  // the plain product takes minutes for all
      c.compare("linear", fmt::format("{} x {} -> {}, act {}, {} -> {}", size.rows, size.in, size.out, variant % 3, dtype_name(d.compute), dtype_name(to)),
                bound, {y}, [&](const Checker::Side& s, const ExecContext& ctx) {
                  std::vector<LinearRows> parts{{w0.view[0], b0.view[0]}};
                  if (size.out > first) parts.push_back({w1.view[0], {}});
                  auto packed = need(pack_linear(d, parts, ctx));
                  packed->run(s(x), s(y), ctx);
                  need(wait_for_device(ctx));
                });
    }
  }
}

void check_conv(Checker& c) {
  for (DType t : kTypes) {
    for (DType result : kTypes) {
      for (bool add : {false, true}) {
        auto desc = [&](int64_t in, int64_t out, int kt, int k, ConvSpace s, int stride_t = 1) {
          return ConvDesc{in, out, kt, k, k, stride_t, s, t, result, add};
        };
        check_one(c, {desc(16, 8, 3, 3, ConvSpace::same), 5, 7, 2});
        check_one(c, {desc(16, 8, 3, 3, ConvSpace::same), 4, 6, 2, {0, 1}});
        check_one(c, {desc(8, 12, 1, 3, ConvSpace::up2_nearest), 4, 5});
        check_one(c, {desc(12, 8, 1, 3, ConvSpace::down2), 8, 6});
        check_one(c, {desc(12, 8, 1, 3, ConvSpace::down2), 7, 9});
        check_one(c, {desc(8, 16, 3, 1, ConvSpace::same), 4, 4, 2});
        check_one(c, {desc(8, 8, 3, 1, ConvSpace::same, 2), 4, 4, 2});
        check_one(c, {desc(16, 8, 1, 1, ConvSpace::same), 5, 4, 3});
        check_one(c, {desc(3, 9, 3, 3, ConvSpace::same), 6, 5});
        check_one(c, {desc(10, 3, 3, 3, ConvSpace::same), 5, 6});
        check_one(c, {desc(1, 2, 1, 3, ConvSpace::same), 1, 9});
      }
    }
  }
  if (!c.large()) return;
  for (DType t : kTypes) {
    check_one(c, {ConvDesc{96, 96, 3, 3, 3, 1, ConvSpace::same, t, t, true}, 120, 208, 1, {0}});
    check_one(c, {ConvDesc{384, 192, 1, 3, 3, 1, ConvSpace::up2_nearest, t, t, false}, 30, 52});
    check_one(c, {ConvDesc{16, 384, 3, 3, 3, 1, ConvSpace::same, t, t, false}, 30, 52});
    check_one(c, {ConvDesc{96, 3, 3, 3, 3, 1, ConvSpace::same, t, DType::f32, false}, 120, 208});
  }
}

}  // namespace zt::testing
