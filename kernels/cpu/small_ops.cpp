// The small ops: candidates "avx512" and "avx2" (vector bodies) and "cpu" (plain code that moves data), cut into tasks of
// about kTask elements by shape only.
#include <algorithm>
#include <cstdlib>
#include <memory>

#include "kernels/core/parallel.h"
#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/small_kernels.h"

namespace zt {
namespace {

constexpr int64_t kTask = 16 << 10;

int64_t grain(int64_t row) { return std::max<int64_t>(1, kTask / std::max<int64_t>(1, row)); }

template <Isa kIsa>
const SmallKernels& kernels() {
  return kIsa == Isa::avx512 ? small_kernels_avx512() : small_kernels_avx2();
}

template <Isa kIsa, class Args>
std::string_view why_not(const Args&, const ExecContext& ctx) {
  if (ctx.isa >= kIsa) return {};
  return kIsa == Isa::avx512 ? "needs AVX-512" : "needs AVX2";
}

constexpr int64_t kMaxHeadDim = 512;  // of the stack buffers in bias_attention_rows

template <Isa kIsa>
std::string_view why_not_bias_attention(const BiasAttentionArgs& a, const ExecContext& ctx) {
  if (a.q.dim(2) > kMaxHeadDim) return "head dimension above 512";
  return why_not<kIsa>(a, ctx);
}

template <Isa kIsa>
void run_bias_attention(const BiasAttentionArgs& a, const ExecContext& ctx) {
  constexpr int64_t kQueries = 64;
  int64_t n = a.q.dim(1), blocks = (n + kQueries - 1) / kQueries;
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  parallel_for(ctx.threads, a.q.dim(0) * blocks, [&](int64_t i) {
    size_t bytes = (size_t(bias_attention_scratch(n, a.q.dim(2))) * sizeof(float) + 63) / 64 * 64;
    std::unique_ptr<float, Free> scratch(static_cast<float*>(std::aligned_alloc(64, bytes)));
    int64_t begin = i % blocks * kQueries;
    kernels<kIsa>().bias_attention(a, i / blocks, begin, std::min(n, begin + kQueries), scratch.get());
  });
}

template <Isa kIsa>
void run_elementwise(const ElementwiseArgs& e, const ExecContext& ctx) {
  bool two = e.op == Elementwise::add || e.op == Elementwise::mul;
  if (!e.a.dense() || !e.out.dense() || (two && !e.b.dense())) {
    parallel_ranges(ctx.threads, e.a.dim(0), grain(e.a.dim(1)),
                    [&](int64_t b, int64_t n) { kernels<kIsa>().elementwise(e, b, n); });
    return;
  }
  Shape row{1, e.a.count()};  // dense matrices are one long row
  ElementwiseArgs flat{e.op, e.a.reshape(row), two ? e.b.reshape(row) : TensorView(), e.out.reshape(row)};
  parallel_ranges(ctx.threads, e.a.count(), kTask, [&](int64_t b, int64_t end) {
    auto piece = [&](const TensorView& v) { return v ? v.slice(1, b, end - b) : v; };
    kernels<kIsa>().elementwise({e.op, piece(flat.a), piece(flat.b), piece(flat.out)}, 0, 1);
  });
}

template <Isa kIsa>
void add_vector_ops(OpTable& t, std::string_view name) {
  t.norm.push_back({name, why_not<kIsa, NormArgs>, [](const NormArgs& a, const ExecContext& ctx) {
                      parallel_ranges(ctx.threads, a.x.dim(0), grain(a.x.dim(1)),
                                      [&](int64_t b, int64_t e) { kernels<kIsa>().norm(a, b, e); });
                    }});
  t.qk_norm_rope.push_back({name, why_not<kIsa, QkNormRopeArgs>, [](const QkNormRopeArgs& a, const ExecContext& ctx) {
                              parallel_ranges(ctx.threads, a.x.dim(0), grain(a.x.dim(1)),
                                              [&](int64_t b, int64_t e) { kernels<kIsa>().qk_norm_rope(a, b, e); });
                            }});
  t.channel_norm.push_back({name, why_not<kIsa, ChannelNormArgs>, [](const ChannelNormArgs& a, const ExecContext& ctx) {
                              parallel_ranges(ctx.threads, a.x.dim(0), grain(a.x.dim(1)),
                                              [&](int64_t b, int64_t e) { kernels<kIsa>().channel_norm(a, b, e); });
                            }});
  t.elementwise.push_back({name, why_not<kIsa, ElementwiseArgs>, run_elementwise<kIsa>});
  t.affine_sum.push_back({name, why_not<kIsa, AffineSumArgs>, [](const AffineSumArgs& a, const ExecContext& ctx) {
                            parallel_ranges(ctx.threads, a.out.count(), kTask,
                                            [&](int64_t b, int64_t e) { kernels<kIsa>().affine_sum(a, b, e); });
                          }});
  t.bias_attention.push_back({name, why_not_bias_attention<kIsa>, run_bias_attention<kIsa>});
}

template <class Args>
std::string_view always(const Args&, const ExecContext&) {
  return {};
}

void run_gather(const GatherRowsArgs& a, const ExecContext& ctx) {
  int64_t n = a.out.dim(1);
  parallel_ranges(ctx.threads, int64_t(a.index.size()), grain(n), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const char* from =
          static_cast<const char*>(a.table.data) + a.index[size_t(r)] * a.table.stride(0) * int64_t(dtype_size(a.table.dtype));
      convert_floats(from, a.table.dtype, static_cast<char*>(a.out.data) + r * a.out.stride(0) * int64_t(dtype_size(a.out.dtype)),
                     a.out.dtype, n);
    }
  });
}

// fn(token, t, y, x) with (y, x) the first latent row and column of its patch.
template <class Fn>
void over_tokens(const TensorView& latent, int64_t ph, int64_t pw, int threads, Fn fn) {
  int64_t h = latent.dim(2) / ph, w = latent.dim(3) / pw, n = latent.dim(1) * h * w;
  parallel_ranges(threads, n, grain(latent.dim(0) * ph * pw), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) fn(i, i / (h * w), i / w % h * ph, i % w * pw);
  });
}

void run_patchify(const PatchifyArgs& a, const ExecContext& ctx) {
  const TensorView& l = a.latent;
  over_tokens(l, a.ph, a.pw, ctx.threads, [&](int64_t token, int64_t t, int64_t y, int64_t x) {
    const float* from = static_cast<const float*>(l.data) + t * l.stride(1) + y * l.stride(2) + x * l.stride(3);
    int64_t to = token * a.tokens.stride(0);
    for (int64_t c = 0; c < l.dim(0); ++c) {
      for (int64_t i = 0; i < a.ph; ++i) {
        for (int64_t j = 0; j < a.pw; ++j) {
          store_float(a.tokens.data, a.tokens.dtype, to++, from[c * l.stride(0) + i * l.stride(2) + j * l.stride(3)]);
        }
      }
    }
  });
}

void run_unpatchify(const UnpatchifyArgs& a, const ExecContext& ctx) {
  const TensorView& l = a.latent;
  over_tokens(l, a.ph, a.pw, ctx.threads, [&](int64_t token, int64_t t, int64_t y, int64_t x) {
    float* to = static_cast<float*>(l.data) + t * l.stride(1) + y * l.stride(2) + x * l.stride(3);
    int64_t from = token * a.tokens.stride(0);
    for (int64_t i = 0; i < a.ph; ++i) {
      for (int64_t j = 0; j < a.pw; ++j) {
        for (int64_t c = 0; c < l.dim(0); ++c) {
          to[c * l.stride(0) + i * l.stride(2) + j * l.stride(3)] = load_float(a.tokens.data, a.tokens.dtype, from++);
        }
      }
    }
  });
}

}  // namespace

void add_small_ops(OpTable& t) {
  add_vector_ops<Isa::avx512>(t, "avx512");
  add_vector_ops<Isa::avx2>(t, "avx2");
  t.gather_rows.push_back({"cpu", always<GatherRowsArgs>, run_gather});
  t.patchify.push_back({"cpu", always<PatchifyArgs>, run_patchify});
  t.unpatchify.push_back({"cpu", always<UnpatchifyArgs>, run_unpatchify});
}

}  // namespace zt
