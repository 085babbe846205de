#include <algorithm>

#include "kernels/api/ops.h"
#include "tests/support/cuda_ops/checks.h"

namespace zt::testing {
namespace {

constexpr DType kTypes[] = {DType::f32, DType::bf16};

std::vector<int64_t> widths(const Checker& c) {
  return c.large() ? std::vector<int64_t>{1, 3, 12, 320, 1536, 5120} : std::vector<int64_t>{1, 3, 12, 66, 128, 132};
}
std::vector<int64_t> row_counts(const Checker& c) { return c.large() ? std::vector<int64_t>{0, 1, 7, 700} : std::vector<int64_t>{0, 1, 4, 7}; }

}  // namespace

// f32: a few roundings and an approximate exponential; bf16: both sides round, at most one step apart now and then.
double bound_of(DType t) { return t == DType::f32 ? 1e-12 : 4e-6; }

void check_norm(Checker& c) {
  for (int64_t cols : widths(c)) {
    for (int64_t rows : row_counts(c)) {
      for (int variant = 0; variant < 12; ++variant) {
        const DType y_type = kTypes[variant % 2], out_type = kTypes[variant / 2 % 2];
        const NormKind kind = NormKind(variant % 3);
        const int parts = variant / 3 % 4;
        if (kind == NormKind::layer && cols == 1) continue;  // (x - mean) is nothing but rounding
        Twin x = c.rows(DType::f32, rows, cols, 1), y = c.rows(y_type, rows, cols, 2), out = c.rows(out_type, rows, cols, 3, variant % 2 ? 3 : 4);
        Twin gate = c.rows(DType::f32, 3, cols, 4), scale = c.rows(DType::f32, 3, cols, 5), shift = c.rows(DType::f32, 3, cols, 6);
        std::vector<Twin> wrote{x};
        if (parts != 3) wrote.push_back(out);
        c.compare("norm", fmt::format("{} x {}, kind {}, parts {}, {} -> {}", rows, cols, variant % 3, parts, dtype_name(y_type), dtype_name(out_type)),
                  parts == 3 ? bound_of(DType::f32) : bound_of(out_type), wrote, [&](const Checker::Side& s, const ExecContext& ctx) {
                    NormArgs a;
                    a.x = s(x), a.kind = kind, a.add_one = variant % 2, a.rows_per_group = parts > 1 ? (rows + 2) / 3 : 0;
                    if (parts > 0) a.y = s(y);
                    if (parts == 1 || parts == 2) a.scale = s(scale), a.shift = s(shift);
                    if (parts > 1) a.gate = s(gate);
                    if (parts != 3) a.out = s(out);
                    norm(a, ctx);
                  });
      }
    }
  }
}

void check_qk_norm_rope(Checker& c) {
  std::vector<std::pair<int64_t, int64_t>> shapes = {{2, 12}, {1, 24}, {3, 2}, {2, 64}, {1, 7}};
  if (c.large()) shapes.insert(shapes.end(), {{12, 128}, {40, 128}});
  for (auto [heads, d] : shapes) {
    for (int64_t rows : row_counts(c)) {
      for (int variant = 0; variant < 8; ++variant) {
        const DType t = kTypes[variant % 2];
        const bool rope = variant / 2 % 2 && d % 2 == 0, in_place = variant / 4;
        const int64_t cols = heads * d;
        Twin x = c.rows(t, rows, cols, 1), out = c.rows(t, rows, cols, 2), cos = c.rows(DType::f32, rows, d / 2, 3, 1),
             sin = c.rows(DType::f32, rows, d / 2, 4, 2), weight = c.random(DType::f32, {cols}, 5);
        c.compare("qk_norm_rope", fmt::format("{} heads of {}, {} rows, {}, rope {}, in place {}", heads, d, rows, dtype_name(t), rope, in_place),
                  bound_of(t), {in_place ? x : out}, [&](const Checker::Side& s, const ExecContext& ctx) {
                    qk_norm_rope({s(x), s(weight), rope ? s(cos) : TensorView(), rope ? s(sin) : TensorView(), heads, 1e-6f, s(in_place ? x : out)}, ctx);
                  });
      }
    }
  }
}

void check_channel_norm(Checker& c) {
  for (int64_t channels : {1, 3, 4, 16, 20, 96, 130, 384}) {
    for (int64_t pixels : c.large() ? std::vector<int64_t>{1, 33, 6240} : std::vector<int64_t>{0, 1, 9}) {
      for (int variant = 0; variant < 8; ++variant) {
        const DType in = kTypes[variant % 2], to = kTypes[variant / 2 % 2];
        Twin x = c.random(in, {pixels, channels}, 1), gamma = c.random(DType::f32, {channels}, 2), out = c.random(to, {pixels, channels}, 3);
        c.compare("channel_norm", fmt::format("{} x {}, {} -> {}", pixels, channels, dtype_name(in), dtype_name(to)), bound_of(to), {out},
                  [&](const Checker::Side& s, const ExecContext& ctx) { channel_norm({s(x), s(gamma), variant / 4 == 1, s(out)}, ctx); });
      }
    }
  }
}

void check_elementwise(Checker& c) {
  for (int op = 0; op <= int(Elementwise::gelu_tanh); ++op) {
    for (int64_t cols : widths(c)) {
      for (int variant = 0; variant < 8; ++variant) {
        const int64_t rows = c.large() ? 300 : 3;
        Twin a = c.rows(kTypes[variant % 2], rows, cols, 1), b = c.rows(kTypes[variant / 2 % 2], rows, cols, 2),
             out = c.rows(kTypes[variant / 4], rows, cols, 3, variant % 2 ? 1 : 4);
        c.compare("elementwise", fmt::format("op {}, {} x {}, variant {}", op, rows, cols, variant), bound_of(kTypes[variant / 4]), {out},
                  [&](const Checker::Side& s, const ExecContext& ctx) {
                    bool two = op == int(Elementwise::add) || op == int(Elementwise::mul);
                    elementwise({Elementwise(op), s(a), two ? s(b) : TensorView(), s(out)}, ctx);
                  });
      }
    }
  }
}

void check_affine_sum(Checker& c) {
  const int64_t n = c.large() ? 1 << 20 : 300;
  std::vector<Twin> in;
  for (uint64_t i = 0; i < 6; ++i) in.push_back(c.random(DType::f32, {n}, 10 + i));
  const std::vector<double> coef = {0.3, -1.7, 1e-3, 5, -0.25, 1};
  for (size_t terms = 1; terms <= 6; ++terms) {
    Twin out = terms % 2 ? in[0] : c.random(DType::f32, {n}, 3);
    c.compare("affine_sum", fmt::format("{} terms", terms), 1e-14, {out}, [&](const Checker::Side& s, const ExecContext& ctx) {
      std::vector<TensorView> views;
      for (size_t i = 0; i < terms; ++i) views.push_back(s(in[i]));
      affine_sum({{coef.data(), terms}, {views.data(), terms}, s(out)}, ctx);
    });
  }
}

void check_patches(Checker& c) {
  for (auto [ph, pw] : {std::pair<int64_t, int64_t>{2, 2}, {1, 1}, {1, 3}}) {
    const int64_t channels = 5, t = 2, h = c.large() ? 60 : 4, w = c.large() ? 102 : 6, tokens = t * (h / ph) * (w / pw), size = channels * ph * pw;
    Twin latent = c.random(DType::f32, {channels, t, h, w}, 1), matrix = c.rows(DType::f32, tokens, size, 2), half = c.rows(DType::bf16, tokens, size, 3);
    Twin back = c.random(DType::f32, {channels, t, h, w}, 4);
    const std::string what = fmt::format("{} x {} patches", ph, pw);
    for (const Twin& to : {matrix, half}) {
      c.compare("patchify", what, 0, {to},
                [&, ph = ph, pw = pw](const Checker::Side& s, const ExecContext& ctx) { patchify({s(latent), s(to), ph, pw}, ctx); });
    }
    c.compare("unpatchify", what, 0, {back},
              [&, ph = ph, pw = pw](const Checker::Side& s, const ExecContext& ctx) { unpatchify({s(matrix), s(back), ph, pw}, ctx); });
  }
}

void check_gather_rows(Checker& c) {
  std::vector<int32_t> index = {3, 0, 7, 7, 1, 19};
  for (int variant = 0; variant < 4; ++variant) {
    Twin table = c.rows(kTypes[variant % 2], 20, 37, 1, 3), out = c.rows(kTypes[variant / 2], 6, 37, 2);
    c.compare("gather_rows", fmt::format("variant {}", variant), 0, {out},
              [&](const Checker::Side& s, const ExecContext& ctx) { gather_rows({s(table), s(out), index}, ctx); });
  }
  // A table that stays in host memory, as the text encoder's does.
  Twin table = c.random(DType::f16, {20, 37}, 3), out = c.random(DType::f32, {6, 37}, 4);
  c.compare("gather_rows", "table on the host", 0, {out},
            [&](const Checker::Side& s, const ExecContext& ctx) { gather_rows({table.view[0], s(out), index}, ctx); });
}

void check_bias_attention(Checker& c) {
  for (int variant = 0; variant < 8; ++variant) {
    const DType t = kTypes[variant % 2];
    const int64_t heads = c.large() ? 64 : 2, n = variant / 2 % 2 ? (c.large() ? 226 : 21) : 1 + variant * 4, d = variant / 4 ? 64 : 10;
    Twin qkv = c.random(t, {n, 3 * heads * d}, 1), out = c.random(t, {n, heads * d}, 2), bias = c.random(DType::f32, {heads, n, n}, 3);
    auto as_heads = [&](const Twin& m, int64_t column) {
      return m.map([&](const TensorView& v) {
        TensorView h = v.overlay(v.dtype, {heads, n, d}, size_t(column) * dtype_size(v.dtype));
        h.strides[0] = d, h.strides[1] = v.stride(0);
        return h;
      });
    };
    Twin q = as_heads(qkv, 0), k = as_heads(qkv, heads * d), v = as_heads(qkv, 2 * heads * d), o = as_heads(out, 0);
    c.compare("bias_attention", fmt::format("{} tokens, heads of {}, {}", n, d, dtype_name(t)), t == DType::f32 ? 1e-11 : 4e-6, {o},
              [&](const Checker::Side& s, const ExecContext& ctx) { bias_attention({s(q), s(k), s(v), s(o), s(bias), 0.5f}, ctx); });
  }
}

}  // namespace zt::testing
