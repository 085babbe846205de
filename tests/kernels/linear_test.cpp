// Linear layers of every back end against the plain one.
#include <cmath>
#include <limits>

#include "kernels/api/linear.h"
#include "tests/support/testing.h"

namespace zt::testing {
namespace {

struct Case {
  LinearDesc desc;
  int64_t rows;
  DType result;
  int64_t pad_x = 0, pad_y = 0;  // row stride beyond the row
  std::vector<int64_t> parts{};  // rows of the stacked weights; empty = one part
  DType stored = DType::f32;
  bool bias = true;
};

// y of the padded buffer; the padding must come back untouched.
std::vector<float> run_case(const Machine& m, const Case& c) {
  const LinearDesc& d = c.desc;
  std::vector<Tensor> keep;
  std::vector<LinearRows> parts;
  std::vector<int64_t> outs = c.parts.empty() ? std::vector<int64_t>{d.out} : c.parts;
  float scale = 1.f / std::sqrt(float(d.in));
  for (size_t i = 0; i < outs.size(); ++i) {
    keep.push_back(random_tensor(*m.ctx.arena, c.stored, {outs[i], d.in}, 10 + i, scale));
    keep.push_back(random_tensor(*m.ctx.arena, DType::f32, {outs[i]}, 20 + i));
    parts.push_back({keep[2 * i].view(), c.bias ? keep[2 * i + 1].view() : TensorView()});
  }
  auto packed = must(pack_linear(d, parts, m.ctx));
  EXPECT_LE(packed->bytes(), size_t(double(packed_linear_bytes(d)) * 1.05) + 65536);
  keep.clear();
  Tensor x = random_tensor(*m.ctx.arena, d.compute, {c.rows, d.in + c.pad_x}, 1);
  Tensor y = must(m.ctx.arena->make(c.result, {c.rows, d.out + c.pad_y}));
  for (int64_t i = 0; i < y.view().count(); ++i) store_float(y.data(), c.result, i, -77.f);
  packed->run(x.view().slice(1, 0, d.in), y.view().slice(1, 0, d.out), m.ctx);
  if (c.pad_y) {
    for (float v : to_floats(y.view().slice(1, d.out, c.pad_y))) EXPECT_EQ(v, -77.f);
  }
  return to_floats(y.view().slice(1, 0, d.out));
}

void check(const Case& c) {
  auto ref = make_machine(machine_isa(), 2, {"linear=ref"});
  std::vector<float> want = run_case(*ref, c);
  for (Isa isa : {Isa::generic, machine_isa()}) {  // without and with bf16 instructions, where there are some
    SCOPED_TRACE(fmt::format("isa {} in {} out {} rows {} {} -> {}", isa_name(isa), c.desc.in, c.desc.out, c.rows,
                             dtype_name(c.desc.compute), dtype_name(c.result)));
    std::vector<float> first;
    for (int threads : {1, 2, 3}) {
      auto m = make_machine(isa, threads, {"linear=onednn"});
      std::vector<float> got = run_case(*m, c);
      // f32 sums of K products: relative error about sqrt(K) eps. bf16 results: both sides round, up to 2^-8 apart.
      double bound = c.result == DType::f32 ? 1e-11 : 4e-6;
      EXPECT_LE(nmse(got, want), bound);
      if (threads == 1) first = got;
      EXPECT_EQ(max_abs_diff(got, first), 0) << threads << " threads";
    }
  }
}

TEST(Linear, MatchesRef) {
  for (DType t : {DType::f32, DType::bf16}) {
    for (DType result : {DType::f32, DType::bf16}) {
      for (int64_t rows : {1, 7, 129}) check({{320, 320, t, Activation::none}, rows, result});
      check({{320, 960, t, Activation::none}, 200, result, 0, 0, {320, 320, 320}});
      check({{24, 1400, t, Activation::none}, 530, result, 0, 3});  // several slices and panels, with tails
      check({{64, 1280, t, Activation::gelu_tanh}, 300, result, 8, 24});
      check({{256, 96, t, Activation::silu}, 33, result, 0, 7});
      check({{1, 1, t, Activation::none}, 1, result});
      check({{3, 5, t, Activation::none}, 7, result, 1, 1});
      check({{37, 45, t, Activation::none}, 50, result});
    }
  }
}

TEST(Linear, StoredTypes) {
  for (DType stored : {DType::f32, DType::bf16, DType::f16}) {
    for (DType t : {DType::f32, DType::bf16})
      check({{96, 130, t, Activation::none}, 40, DType::f32, 0, 0, {64, 66}, stored, false});
  }
}

// A NaN or an infinity in one row of x, or large values in it, leave the other rows alone.
TEST(Linear, RowsAreIndependent) {
  for (DType t : {DType::f32, DType::bf16}) {
    auto m = make_machine(machine_isa(), 2);
    Tensor w = random_tensor(m->arena, DType::f32, {70, 48}, 1), b = random_tensor(m->arena, DType::f32, {70}, 2);
    LinearRows rows[] = {{w, b}};
    auto packed = must(pack_linear({48, 70, t, Activation::silu}, rows, m->ctx));
    Tensor x = random_tensor(m->arena, t, {33, 48}, 3), y = must(m->arena.make(DType::f32, {33, 70}));
    packed->run(x, y, m->ctx);
    std::vector<float> clean = to_floats(y);
    for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 3e38f}) {
      Tensor dirty = random_tensor(m->arena, t, {33, 48}, 3);
      store_float(dirty.data(), t, 17 * 48 + 3, bad);
      packed->run(dirty, y, m->ctx);
      std::vector<float> got = to_floats(y);
      for (int64_t i = 0; i < 33 * 70; ++i) {
        if (i / 70 != 17) {
          ASSERT_EQ(got[size_t(i)], clean[size_t(i)]) << i;
        } else if (std::isnan(bad)) {
          ASSERT_TRUE(std::isnan(got[size_t(i)])) << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace zt::testing
