// Small ops: every implementation this machine has against the plain one.
#include <cmath>
#include <limits>

#include "kernels/api/ops.h"
#include "tests/support/testing.h"

namespace zt::testing {
namespace {

// A machine for each implementation of `op` that can run here, forced by name: a refusal would throw.
template <class Fn>
void for_each_implementation(const std::string& op, const std::vector<std::string>& names, Fn fn) {
  for (const std::string& name : names) {
    if ((name == "avx2" && machine_isa() < Isa::avx2) || (name == "avx512" && machine_isa() < Isa::avx512)) continue;
    for (int threads : {1, 3}) {
      SCOPED_TRACE(fmt::format("{}={} threads {}", op, name, threads));
      fn(*make_machine(machine_isa(), threads, {op + "=" + name}));
    }
  }
}

// All vector ops at once, capped at each instruction set this machine has.
template <class Fn>
void for_each_isa(Fn fn) {
  for (Isa isa : runnable_isas()) {
    SCOPED_TRACE(isa_name(isa));
    fn(*make_machine(isa, 2));
  }
}
const std::vector<std::string> kVector = {"avx512", "avx2"};

std::unique_ptr<Machine> ref_machine() { return make_machine(machine_isa(), 1, {"*=ref"}); }

// f32 results: a few roundings each. bf16 results: both sides round, at most one step apart now and then.
double bound(DType t) { return t == DType::f32 ? 1e-13 : 2e-6; }

constexpr int64_t kWidths[] = {1, 3, 12, 24, 320, 1536};
constexpr int64_t kRows[] = {0, 1, 7, 129};
constexpr DType kTypes[] = {DType::f32, DType::bf16};

// A [rows, cols] view with `pad` columns of guard behind each row.
struct Padded {
  Tensor all;
  TensorView view;
  Padded(Arena& arena, DType t, int64_t rows, int64_t cols, uint64_t seed, int64_t pad = 5)
      : all(random_tensor(arena, t, {rows, cols + pad}, seed, 2.f)), view(all.view().slice(1, 0, cols)) {}
  bool guard_intact(const Padded& fresh) const {
    int64_t cols = view.dim(1), pad = all.shape()[1] - cols;
    return max_abs_diff(to_floats(all.view().slice(1, cols, pad)), to_floats(fresh.all.view().slice(1, cols, pad))) == 0;
  }
};

std::vector<float> run_norm(const Machine& m, NormKind kind, int64_t rows, int64_t cols, DType y_type, DType out_type,
                            int parts) {
  Arena& a = *m.ctx.arena;
  Padded x(a, DType::f32, rows, cols, 1), y(a, y_type, rows, cols, 2), out(a, out_type, rows, cols, 3),
      fresh(a, out_type, rows, cols, 3);
  int64_t per_group = parts > 1 ? (rows + 2) / 3 : 0;
  Padded gate(a, DType::f32, 3, cols, 4), scale(a, DType::f32, 3, cols, 5), shift(a, DType::f32, 3, cols, 6);
  NormArgs args{x.view, {}, {}, {}, {}, per_group, kind, true, 1e-6f, out.view};
  if (parts > 0) args.y = y.view, args.scale = scale.view, args.shift = shift.view;
  if (parts > 1) args.gate = gate.view;
  norm(args, m.ctx);
  EXPECT_TRUE(out.guard_intact(fresh));
  std::vector<float> all = to_floats(out.view), rest = to_floats(x.view);
  all.insert(all.end(), rest.begin(), rest.end());
  return all;
}

TEST(SmallOps, Norm) {
  auto ref = ref_machine();
  for (int64_t cols : kWidths) {
    for (int64_t rows : kRows) {
      for (DType t : kTypes) {
        for (NormKind kind : {NormKind::none, NormKind::layer, NormKind::rms}) {
          for (int parts : {0, 1, 2}) {
            if (kind == NormKind::layer && cols == 1) continue;  // (x - mean) is nothing but rounding
            SCOPED_TRACE(fmt::format("{} x {} {} kind {} parts {}", rows, cols, dtype_name(t), int(kind), parts));
            auto want = run_norm(*ref, kind, rows, cols, t, t, parts);
            for_each_implementation("norm", kVector, [&](const Machine& m) {
              EXPECT_LE(nmse(run_norm(m, kind, rows, cols, t, t, parts), want), bound(t));
            });
          }
        }
      }
    }
  }
}

TEST(SmallOps, NormOfLargeMean) {
  // var << mean^2: a one-pass variance would lose all digits. The mean itself is known to within 2 * 1000 * 2^-24 of the
  // standard deviation, 1: (1.2e-4)^2.
  for_each_implementation("norm", kVector, [&](const Machine& m) {
    Tensor x = random_tensor(*m.ctx.arena, DType::f32, {4, 1536}, 1), out = must(m.ctx.arena->make(DType::f32, {4, 1536}));
    for (int64_t i = 0; i < x.view().count(); ++i) x.as<float>()[i] += 1000;
    norm({x, {}, {}, {}, {}, 0, NormKind::layer, false, 1e-6f, out}, m.ctx);
    auto got = to_floats(out);
    norm({x, {}, {}, {}, {}, 0, NormKind::layer, false, 1e-6f, out}, ref_machine()->ctx);
    EXPECT_LE(nmse(got, to_floats(out)), 1.4e-8);
  });
}

TEST(SmallOps, NanStaysInItsRow) {
  float nan = std::numeric_limits<float>::quiet_NaN();
  for (DType t : kTypes) {
    for_each_isa([&](const Machine& m) {
      Tensor x = random_tensor(*m.ctx.arena, t, {3, 40}, 1), w = random_tensor(*m.ctx.arena, DType::f32, {40}, 2);
      Tensor x32 = random_tensor(*m.ctx.arena, DType::f32, {3, 40}, 1), out = must(m.ctx.arena->make(t, {3, 40}));
      store_float(x.data(), t, 45, nan);
      x32.as<float>()[45] = nan;
      auto expect = [&] {
        for (int64_t i = 0; i < 120; ++i) EXPECT_EQ(std::isnan(load_float(out.data(), t, i)), i / 40 == 1) << i;
      };
      norm({x32, {}, {}, {}, {}, 0, NormKind::layer, false, 1e-6f, out}, m.ctx);
      expect();
      qk_norm_rope({x, w, {}, {}, 2, 1e-6f, out}, m.ctx);
      expect();
      channel_norm({x, w, true, out}, m.ctx);
      expect();
      for (Elementwise op : {Elementwise::copy, Elementwise::silu, Elementwise::gelu_tanh}) {
        elementwise({op, x, {}, out}, m.ctx);
        for (int64_t i = 0; i < 120; ++i) EXPECT_EQ(std::isnan(load_float(out.data(), t, i)), i == 45) << i;
      }
    });
  }
}

std::vector<float> run_qk(const Machine& m, int64_t heads, int64_t d, int64_t rows, DType t, bool rope, bool in_place) {
  Arena& a = *m.ctx.arena;
  int64_t cols = heads * d;
  Padded x(a, t, rows, cols, 1), out(a, t, rows, cols, 2), cos(a, DType::f32, rows, d / 2, 3), sin(a, DType::f32, rows, d / 2, 4);
  Tensor w = random_tensor(a, DType::f32, {cols}, 5);
  TensorView to = in_place ? x.view : out.view;
  qk_norm_rope({x.view, w, rope ? cos.view : TensorView(), rope ? sin.view : TensorView(), heads, 1e-6f, to}, m.ctx);
  EXPECT_TRUE(in_place ? x.guard_intact(Padded(a, t, rows, cols, 1)) : out.guard_intact(Padded(a, t, rows, cols, 2)));
  return to_floats(to);
}

TEST(SmallOps, QkNormRope) {
  auto ref = ref_machine();
  for (auto [heads, d] : {std::pair<int64_t, int64_t>{2, 12}, {1, 24}, {5, 64}, {12, 128}, {3, 2}}) {
    for (int64_t rows : kRows) {
      for (DType t : kTypes) {
        for (bool rope : {false, true}) {
          SCOPED_TRACE(fmt::format("{} heads of {} rows {} {} rope {}", heads, d, rows, dtype_name(t), rope));
          auto want = run_qk(*ref, heads, d, rows, t, rope, false);
          for_each_implementation("qk_norm_rope", kVector, [&](const Machine& m) {
            EXPECT_LE(nmse(run_qk(m, heads, d, rows, t, rope, false), want), bound(t));
            EXPECT_LE(nmse(run_qk(m, heads, d, rows, t, rope, true), want), bound(t));
          });
        }
      }
    }
  }
}

TEST(SmallOps, ChannelNorm) {
  auto ref = ref_machine();
  for (int64_t cols : kWidths) {
    for (DType from : kTypes) {
      for (DType to : kTypes) {
        for (bool silu : {false, true}) {
          SCOPED_TRACE(fmt::format("{} {} -> {} silu {}", cols, dtype_name(from), dtype_name(to), silu));
          auto run = [&](const Machine& m) {
            Tensor x = random_tensor(*m.ctx.arena, from, {129, cols}, 1),
                   gamma = random_tensor(*m.ctx.arena, DType::f32, {cols}, 2);
            for (int64_t c = 0; c < cols; ++c) store_float(x.data(), from, 3 * cols + c, 0.f);
            for (int64_t c = 0; c < cols; ++c) store_float(x.data(), from, 4 * cols + c, c % 2 ? 1e15f : -1e15f);
            Tensor out = must(m.ctx.arena->make(to, {129, cols}));
            channel_norm({x, gamma, silu, out}, m.ctx);
            return to_floats(out);
          };
          auto want = run(*ref);
          for_each_implementation("channel_norm", kVector, [&](const Machine& m) { EXPECT_LE(nmse(run(m), want), bound(to)); });
        }
      }
    }
  }
}

TEST(SmallOps, Elementwise) {
  auto ref = ref_machine();
  for (Elementwise op : {Elementwise::copy, Elementwise::add, Elementwise::mul, Elementwise::silu, Elementwise::gelu_tanh}) {
    for (int64_t cols : {1, 3, 24, 320}) {
      for (DType from : kTypes) {
        for (DType to : kTypes) {
          for (int64_t pad : {0, 5}) {
            auto run = [&](const Machine& m) {
              Padded a(*m.ctx.arena, from, 129, cols, 1, pad), b(*m.ctx.arena, to, 129, cols, 2, pad),
                  out(*m.ctx.arena, to, 129, cols, 3, pad);
              elementwise({op, a.view, b.view, out.view}, m.ctx);
              EXPECT_TRUE(out.guard_intact(Padded(*m.ctx.arena, to, 129, cols, 3, pad)));
              return to_floats(out.view);
            };
            auto want = run(*ref);
            for_each_implementation("elementwise", kVector, [&](const Machine& m) { EXPECT_LE(nmse(run(m), want), bound(to)); });
          }
        }
      }
    }
  }
}

// Relative error of silu and gelu over their whole range, where the exact value is a normal number.
TEST(SmallOps, ActivationsOverTheirRange) {
  for (Elementwise op : {Elementwise::silu, Elementwise::gelu_tanh}) {
    for_each_implementation("elementwise", kVector, [&](const Machine& m) {
      constexpr int64_t n = 40001;
      Tensor x = must(m.ctx.arena->make(DType::f32, {1, n})), got = must(m.ctx.arena->make(DType::f32, {1, n}));
      for (int64_t i = 0; i < n; ++i) x.as<float>()[i] = float(i - n / 2) * (200.f / float(n));
      elementwise({op, x, {}, got}, m.ctx);
      double worst = 0;
      for (int64_t i = 0; i < n; ++i) {
        double v = x.as<float>()[i], u = 0.7978845608028654 * (v + 0.044715 * v * v * v);
        // The argument z of the exponential is itself rounded, which costs |z| eps.
        double z = op == Elementwise::silu ? -v : -2 * u, exact = v / (1 + std::exp(z));
        if (std::abs(exact) < 1e-30) continue;
        worst = std::max(worst, std::abs(double(got.as<float>()[i]) / exact - 1) / (1 + std::abs(z)));
      }
      EXPECT_LE(worst, 4 * 0x1p-24);
    });
  }
}

TEST(SmallOps, AffineSum) {
  auto ref = ref_machine();
  for (int64_t n : {0, 1, 7, 255, 256, 40000}) {
    for (size_t terms : {size_t(1), size_t(3), size_t(6)}) {
      auto run = [&](const Machine& m) {
        std::vector<Tensor> in;
        std::vector<TensorView> views;
        std::vector<double> coef = {1.0 / 3, -2.5, 1e-3, 7, 0.1, -1};
        coef.resize(terms);
        for (size_t i = 0; i < terms; ++i) in.push_back(random_tensor(*m.ctx.arena, DType::f32, {n}, i)), views.push_back(in[i]);
        affine_sum({coef, views, views[0]}, m.ctx);
        return to_floats(views[0]);
      };
      auto want = run(*ref);
      for_each_implementation("affine_sum", kVector, [&](const Machine& m) { EXPECT_EQ(max_abs_diff(run(m), want), 0); });
    }
  }
}

TEST(SmallOps, BiasAttention) {
  auto ref = ref_machine();
  for (int64_t n : {1, 7, 65, 130}) {
    for (int64_t d : {8, 12, 64}) {
      for (DType t : kTypes) {
        SCOPED_TRACE(fmt::format("n {} d {} {}", n, d, dtype_name(t)));
        auto run = [&](const Machine& m) {
          auto heads = [&](uint64_t seed) { return random_tensor(*m.ctx.arena, t, {n, 3, d}, seed); };
          Tensor q = heads(1), k = heads(2), v = heads(3), out = heads(4),
                 bias = random_tensor(*m.ctx.arena, DType::f32, {3, n, n}, 5);
          for (int64_t h = 0; h < 3; ++h) {  // masked keys
            for (int64_t i = 0; i < n && n > 1; ++i)
              bias.as<float>()[(h * n + i) * n + (i + 1) % n] = -std::numeric_limits<float>::infinity();
          }
          auto view = [](const Tensor& x) { return x.view().permute({1, 0, 2}); };
          bias_attention({view(q), view(k), view(v), view(out), bias, 0.3f}, m.ctx);
          return to_floats(out);
        };
        auto want = run(*ref);
        for_each_implementation("bias_attention", kVector, [&](const Machine& m) {
          EXPECT_LE(nmse(run(m), want), t == DType::f32 ? 1e-12 : bound(t));
        });
      }
    }
  }
}

TEST(SmallOps, GatherAndPatches) {
  auto ref = ref_machine();
  for (DType stored : {DType::f32, DType::bf16, DType::f16}) {
    auto run = [&](const Machine& m) {
      Tensor table = random_tensor(*m.ctx.arena, stored, {11, 37}, 1), out = must(m.ctx.arena->make(DType::f32, {4, 37}));
      std::vector<int32_t> index = {10, 0, 3, 3};
      gather_rows({table, out, index}, m.ctx);
      return to_floats(out);
    };
    auto want = run(*ref);
    for_each_implementation("gather_rows", {"cpu"}, [&](const Machine& m) { EXPECT_EQ(max_abs_diff(run(m), want), 0); });
  }
  for (auto [ph, pw] : {std::pair<int64_t, int64_t>{2, 2}, {1, 1}, {2, 1}}) {
    auto patches = [&, ph = ph, pw = pw](const Machine& m) {
      Tensor latent = random_tensor(*m.ctx.arena, DType::f32, {5, 3, 4, 6}, 1);
      Tensor tokens = must(m.ctx.arena->make(DType::bf16, {3 * 24 / (ph * pw), 5 * ph * pw}));
      patchify({latent, tokens, ph, pw}, m.ctx);
      return to_floats(tokens);
    };
    auto back = [&, ph = ph, pw = pw](const Machine& m) {
      Tensor tokens = random_tensor(*m.ctx.arena, DType::f32, {3 * 24 / (ph * pw), 5 * ph * pw}, 2);
      Tensor latent = must(m.ctx.arena->make(DType::f32, {5, 3, 4, 6}));
      unpatchify({tokens, latent, ph, pw}, m.ctx);
      return to_floats(latent);
    };
    auto want = patches(*ref), want_back = back(*ref);
    for_each_implementation("patchify", {"cpu"}, [&](const Machine& m) { EXPECT_EQ(max_abs_diff(patches(m), want), 0); });
    for_each_implementation("unpatchify", {"cpu"}, [&](const Machine& m) { EXPECT_EQ(max_abs_diff(back(m), want_back), 0); });
  }
}

}  // namespace
}  // namespace zt::testing
