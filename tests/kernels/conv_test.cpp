// Convolutions of every back end against the plain one.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/api/conv.h"
#include "tests/support/testing.h"

namespace zt::testing {
namespace {

struct Case {
  ConvDesc desc;
  int64_t h, w;
  int outputs = 1;
  std::vector<int> nulls{};  // input frames given as null
};

std::vector<float> run_case(const Machine& m, const Case& c) {
  const ConvDesc& d = c.desc;
  Arena& arena = *m.ctx.arena;
  float scale = 1.f / std::sqrt(float(d.in * d.kt * d.kh * d.kw));
  Tensor weight = random_tensor(arena, DType::f32, {d.out, d.in, d.kt, d.kh, d.kw}, 1, scale);
  Tensor bias = random_tensor(arena, DType::f32, {d.out}, 2);
  size_t before_packing = arena.current();
  auto conv = must(pack_conv(d, weight, bias, m.ctx));
  ConvBytes told = conv_bytes(d, c.h, c.w, m.ctx);
  EXPECT_EQ(told.workspace, conv->workspace_bytes(c.h, c.w, m.ctx));
  EXPECT_EQ(told.weights, arena.current() - before_packing);
  int inputs = d.kt + (c.outputs - 1) * d.stride_t;
  ConvSize size = conv_out_size(d, c.h, c.w);
  std::vector<Tensor> frames, results;
  std::vector<const void*> in;
  std::vector<void*> out;
  for (int i = 0; i < inputs; ++i) {
    bool null = std::find(c.nulls.begin(), c.nulls.end(), i) != c.nulls.end();
    frames.push_back(random_tensor(arena, d.compute, {c.h, c.w, d.in}, 100 + uint64_t(i)));
    in.push_back(null ? nullptr : frames.back().data());
  }
  constexpr int64_t kGuard = 64;
  for (int i = 0; i < c.outputs; ++i) {
    results.push_back(random_tensor(arena, d.result, {size.h * size.w * d.out + 2 * kGuard}, 200 + uint64_t(i)));
    out.push_back(static_cast<char*>(results.back().data()) + kGuard * int64_t(dtype_size(d.result)));
  }
  Tensor before = random_tensor(arena, d.result, {size.h * size.w * d.out + 2 * kGuard}, 200);
  Tensor workspace = must(arena.make(DType::u8, {int64_t(conv->workspace_bytes(c.h, c.w, m.ctx)) + 1}));
  conv->run(in, out, c.h, c.w, workspace.data(), m.ctx);
  std::vector<float> all, was = to_floats(before), first = to_floats(results[0]);
  for (int64_t i = 0; i < kGuard; ++i) {
    EXPECT_EQ(first[size_t(i)], was[size_t(i)]) << "written before the frame";
    EXPECT_EQ(first[first.size() - 1 - size_t(i)], was[first.size() - 1 - size_t(i)]) << "written past the frame";
  }
  for (const Tensor& r : results) {
    std::vector<float> v = to_floats(r.view().slice(0, kGuard, size.h * size.w * d.out));
    all.insert(all.end(), v.begin(), v.end());
  }
  return all;
}

void check(const Case& c) {
  auto ref = make_machine(machine_isa(), 2, {"conv=ref"});
  std::vector<float> want = run_case(*ref, c);
  for (Isa isa : {Isa::generic, machine_isa()}) {
    SCOPED_TRACE(fmt::format("isa {} in {} out {} k {}x{}x{} space {} at {}x{} {} -> {} acc {}", isa_name(isa), c.desc.in,
                             c.desc.out, c.desc.kt, c.desc.kh, c.desc.kw, int(c.desc.space), c.h, c.w, dtype_name(c.desc.compute),
                             dtype_name(c.desc.result), c.desc.accumulate));
    std::vector<float> first;
    for (int threads : {1, 2, 3}) {
      auto m = make_machine(isa, threads, {"conv=onednn"});
      std::vector<float> got = run_case(*m, c);
      // f32 sums of up to a few thousand products; bf16 results are rounded on both sides, up to 2^-8 apart.
      EXPECT_LE(nmse(got, want), c.desc.result == DType::f32 ? 1e-11 : 4e-6);
      if (threads == 1) first = got;
      EXPECT_EQ(max_abs_diff(got, first), 0) << threads << " threads";
    }
  }
}

TEST(Conv, MatchesRef) {
  for (DType t : {DType::f32, DType::bf16}) {
    for (DType result : {DType::f32, DType::bf16}) {
      for (bool add : {false, true}) {
        auto desc = [&](int64_t in, int64_t out, int kt, int k, ConvSpace s, int stride_t = 1) {
          return ConvDesc{in, out, kt, k, k, stride_t, s, t, result, add};
        };
        check({desc(16, 32, 3, 3, ConvSpace::same), 13, 18, 2});
        check({desc(16, 32, 3, 3, ConvSpace::same), 9, 7, 2, {0, 1}});
        check({desc(32, 48, 1, 3, ConvSpace::up2_nearest), 9, 10});
        check({desc(24, 32, 1, 3, ConvSpace::down2), 18, 22});
        check({desc(24, 32, 1, 3, ConvSpace::down2), 17, 21});
        check({desc(32, 64, 3, 1, ConvSpace::same), 12, 12, 2});
        check({desc(32, 32, 3, 1, ConvSpace::same, 2), 12, 12, 2});
        check({desc(64, 32, 1, 1, ConvSpace::same), 16, 12, 3});
        check({desc(3, 96, 3, 3, ConvSpace::same), 20, 24});
        check({desc(96, 3, 3, 3, ConvSpace::same), 20, 24});
        check({desc(16, 3, 3, 3, ConvSpace::same), 133, 70, 2, {0}});  // several bands of rows
        check({desc(16, 2, 1, 3, ConvSpace::same), 1, 9});
        check({desc(17, 1, 3, 3, ConvSpace::same), 70, 1, 1, {0, 1}});
        check({desc(64, 64, 3, 3, ConvSpace::same), 32, 32});  // f32: oneDNN wants another layout than for other sizes
        check({desc(1, 5, 1, 3, ConvSpace::same), 5, 3});
        check({desc(5, 1, 3, 3, ConvSpace::same), 4, 6});
        check({desc(3, 5, 1, 3, ConvSpace::up2_nearest), 5, 3});
        check({desc(3, 3, 1, 3, ConvSpace::down2), 6, 6});
      }
    }
  }
}

// A NaN reaches the pixels whose windows hold it and no others.
TEST(Conv, NanStaysInItsNeighbourhood) {
  auto m = make_machine(machine_isa(), 2);
  for (DType t : {DType::f32, DType::bf16}) {
    for (int64_t out : {3, 16}) {
      ConvDesc d{16, out, 1, 3, 3, 1, ConvSpace::same, t, t, false};
      Tensor weight = random_tensor(m->arena, DType::f32, {out, 16, 3, 3}, 1), x = random_tensor(m->arena, t, {20, 20, 16}, 2);
      store_float(x.data(), t, (9 * 20 + 7) * 16 + 5, std::numeric_limits<float>::quiet_NaN());
      Tensor y = must(m->arena.zeros(t, {20, 20, out}));
      auto conv = must(pack_conv(d, weight, {}, m->ctx));
      Tensor workspace = must(m->arena.make(DType::u8, {int64_t(conv->workspace_bytes(20, 20, m->ctx)) + 1}));
      const void* in = x.data();
      void* to = y.data();
      conv->run({&in, 1}, {&to, 1}, 20, 20, workspace.data(), m->ctx);
      for (int64_t i = 0; i < 400 * out; ++i) {
        int64_t dy = i / out / 20 - 9, dx = i / out % 20 - 7;
        ASSERT_EQ(std::isnan(load_float(y.data(), t, i)), std::abs(dy) <= 1 && std::abs(dx) <= 1) << dy << " " << dx;
      }
    }
  }
}

}  // namespace
}  // namespace zt::testing
