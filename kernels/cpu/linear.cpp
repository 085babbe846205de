// Linear layers on oneDNN's single-threaded matmul. The output is cut into panels of columns when the weights are packed
// and into slices of rows when it runs, both by shape only.
//
// oneDNN's fast bf16 and f32 kernels ("brgemm") want dense matrices on both sides, so a task writes a dense
// [slice, panel] tile in scratch and copies its rows into y: about 1% of the time for K = 1536, and row strides are free.
#include <algorithm>
#include <cstring>
#include <map>
#include <tuple>

#include "kernels/core/parallel.h"
#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/dnnl_support.h"

namespace zt {
namespace {

using dnnl::memory;
using dnnl::matmul;

size_t align64(size_t n) { return (n + 63) / 64 * 64; }

// Even panels of about 256 columns in multiples of 64 (oneDNN's own column block); the last one takes what is left.
int64_t panel_width(int64_t out) {
  constexpr int64_t kPanel = 256, kBlock = 64;
  int64_t panels = std::max<int64_t>(1, (out + kPanel / 2) / kPanel);
  return (out + panels * kBlock - 1) / (panels * kBlock) * kBlock;
}

// Slices of about 256 rows, so that a panel of weights is read for many rows; fewer rows when that leaves less than
// kTasks tasks and each still has kMinWork multiply-adds (some tens of microseconds).
int64_t slice_rows(int64_t m, int64_t panels, int64_t width, int64_t in) {
  constexpr int64_t kRows = 256, kLeast = 32, kTasks = 16, kMinWork = 4 << 20;
  int64_t rows = kRows;
  while (rows > kLeast && (m + rows - 1) / rows * panels < kTasks && rows * width * in > kMinWork) rows /= 2;
  int64_t slices = (m + rows - 1) / rows;
  if (slices > 1) slices += slices % 2;  // an even count shares out better
  return std::max<int64_t>(1, std::min(m, ((m + slices - 1) / slices + 7) / 8 * 8));
}

struct Panel {
  int64_t begin = 0, cols = 0;
  memory::desc packed;  // [in, cols]
  size_t offset = 0;    // of its packed weights, in elements of the storage type
};

class DnnlLinear final : public PackedLinear {
 public:
  DnnlLinear(const LinearDesc& d, bool widen, std::shared_ptr<DnnlState> state)
      : d_(d), widen_(widen), math_(widen ? DType::f32 : d.compute), state_(std::move(state)) {}

  const LinearDesc& desc() const override { return d_; }
  size_t bytes() const override { return weights_.view().bytes() + bias_.view().bytes(); }

  Status pack(std::span<const LinearRows> rows, const ExecContext& ctx) {
    SingleThreaded one;
    int64_t width = panel_width(d_.out);
    size_t total = 0;
    for (int64_t c = 0; c < d_.out; c += width) {
      Panel p{c, std::min(width, d_.out - c), {}, total};
      // The layout oneDNN likes best for a full slice; other row counts then run on the same layout.
      p.packed = make_pd(256, p.cols, weight_any(p.cols), DType::f32).weights_desc();
      total += align64(p.packed.get_size() / dtype_size(math_));
      panels_.push_back(p);
    }
    ZT_ASSIGN_OR_RETURN(weights_, ctx.arena->make(d_.compute, {int64_t(total)}));
    ZT_ASSIGN_OR_RETURN(bias_, ctx.arena->zeros(DType::f32, {d_.out}));
    int64_t at = 0;
    for (const LinearRows& part : rows) {
      if (part.bias) convert_floats(part.bias.data, part.bias.dtype, bias_.as<float>() + at, DType::f32, part.weight.dim(0));
      at += part.weight.dim(0);
    }
    int64_t widest = panels_.front().cols;
    size_t plain = align64(size_t(widest * d_.in) * dtype_size(math_)), packed = widen_ ? panel_bytes() : 0;
    auto scratch = state_->scratch.take(size_t(ctx.threads) * (plain + packed));
    parallel_for(ctx.threads, int64_t(panels_.size()), [&](int64_t i) {
      char* mine = scratch.data() + size_t(thread_index()) * (plain + packed);
      pack_panel(panels_[size_t(i)], rows, mine, mine + plain);
    });
    return {};
  }

  void run(const TensorView& x, const TensorView& y, const ExecContext& ctx) const override {
    ZT_CHECK(x.rank() == 2 && x.dtype == d_.compute && x.dim(1) == d_.in && (x.stride(1) == 1 || d_.in == 1));
    ZT_CHECK(y.rank() == 2 && y.dim(0) == x.dim(0) && y.dim(1) == d_.out && (y.stride(1) == 1 || d_.out == 1));
    ZT_CHECK(y.dtype == DType::f32 || y.dtype == DType::bf16);
    int64_t m = x.dim(0), panels = int64_t(panels_.size());
    if (m == 0) return;
    int64_t rows = slice_rows(m, panels, panels_.front().cols, d_.in), slices = (m + rows - 1) / rows;
    // oneDNN has no f32 matmul with a bf16 result: those are rounded when the tile is copied.
    Job job{x, y, rows, math_ == DType::f32 ? DType::f32 : y.dtype, {}, {}};
    for (size_t i = 0; i < 4; ++i) {
      int64_t r = i % 2 ? m % rows : rows;
      if (r && (i < 2 || panels > 1)) job.primitives[i] = primitive(r, i < 2 ? panels_.front() : panels_.back(), job.tile);
    }
    job.scratch = layout(job);
    auto scratch = state_->scratch.take(size_t(ctx.threads) * job.scratch.total);
    SingleThreaded one;
    // Slices run in groups that stay in the last-level cache while all panels pass over them.
    int64_t group = std::max<int64_t>(1, kGroupBytes / (rows * d_.in * int64_t(dtype_size(d_.compute))));
    parallel_for(ctx.threads, slices * panels, [&](int64_t i) {
      int64_t g = i / (group * panels), in_group = std::min(group, slices - g * group), at = i - g * group * panels;
      tile(job, g * group + at % in_group, panels_[size_t(at / in_group)],
           scratch.data() + size_t(thread_index()) * job.scratch.total);
    });
  }

 private:
  static constexpr int64_t kGroupBytes = 8 << 20;

  struct Scratch {  // offsets of one thread's buffers
    size_t tile = 0, library = 0, x = 0, weights = 0, total = 0;
  };
  struct Job {
    const TensorView &x, &y;
    int64_t rows;
    DType tile;  // of a task's result before it is copied to y
    // Full slice and tail of the first panel's width, then of the last one's.
    std::shared_ptr<const matmul> primitives[4];
    Scratch scratch;
  };

  memory::desc weight_any(int64_t cols) const { return {{d_.in, cols}, dnnl_type(math_), memory::format_tag::any}; }

  matmul::primitive_desc make_pd(int64_t rows, int64_t cols, const memory::desc& weights, DType result) const {
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    dnnl::post_ops post;
    if (d_.act == Activation::gelu_tanh) post.append_eltwise(1.f, dnnl::algorithm::eltwise_gelu_tanh, 0.f, 0.f);
    if (d_.act == Activation::silu) post.append_eltwise(1.f, dnnl::algorithm::eltwise_swish, 1.f, 0.f);
    attr.set_post_ops(post);
    memory::desc src({rows, d_.in}, dnnl_type(math_), memory::format_tag::ab);
    memory::desc bias({1, cols}, memory::data_type::f32, memory::format_tag::ab);
    memory::desc dst({rows, cols}, dnnl_type(result), memory::format_tag::ab);
    return matmul::primitive_desc(matmul::desc(src, weights, bias, dst), attr, state_->engine);
  }

  size_t panel_bytes() const {
    size_t most = 0;
    for (const Panel& p : panels_) most = std::max(most, p.packed.get_size());
    return align64(most);
  }

  // Rows [p.begin, p.begin + p.cols) of the stacked weights to the packed layout, by way of a plain [cols, in] copy.
  void pack_panel(const Panel& p, std::span<const LinearRows> rows, char* plain, char* packed) {
    int64_t start = 0;
    for (const LinearRows& part : rows) {
      const TensorView& w = part.weight;
      int64_t from = std::max(p.begin, start), to = std::min(p.begin + p.cols, start + w.dim(0));
      for (int64_t r = from; r < to; ++r) {
        char* dst = plain + size_t((r - p.begin) * d_.in) * dtype_size(math_);
        const char* src = static_cast<const char*>(w.data) + (r - start) * w.stride(0) * int64_t(dtype_size(w.dtype));
        convert_floats(src, w.dtype, dst, math_, d_.in);
        if (widen_) round_to_bf16(reinterpret_cast<float*>(dst), d_.in);
      }
      start += w.dim(0);
    }
    char* store = static_cast<char*>(weights_.data()) + p.offset * dtype_size(d_.compute);
    char* target = widen_ ? packed : store;
    memory from({{d_.in, p.cols}, dnnl_type(math_), memory::format_tag::ba}, state_->engine, plain);
    memory to(p.packed, state_->engine, target);
    dnnl::stream stream(state_->engine);
    dnnl::reorder(from, to).execute(stream, from, to);
    if (widen_) convert_floats(packed, DType::f32, store, DType::bf16, int64_t(p.packed.get_size() / 4));
  }

  static void round_to_bf16(float* v, int64_t n) {
    for (int64_t i = 0; i < n; ++i) v[i] = float(bf16(v[i]));
  }

  std::shared_ptr<const matmul> primitive(int64_t rows, const Panel& p, DType result) const {
    std::lock_guard lock(mutex_);
    auto& slot = cache_[{rows, p.cols, result}];
    if (!slot) {
      SingleThreaded one;
      slot = std::make_shared<const matmul>(make_pd(rows, p.cols, p.packed, result));
    }
    return slot;
  }

  Scratch layout(const Job& job) const {
    size_t library = 0;
    for (const auto& p : job.primitives) {
      if (p) library = std::max(library, scratch_bytes(*p));
    }
    bool copy_x = widen_ || job.x.stride(0) != d_.in;
    Scratch s;
    s.library = align64(size_t(job.rows * panels_.front().cols) * dtype_size(job.tile));
    s.x = s.library + align64(library);
    s.weights = s.x + (copy_x ? align64(size_t(job.rows * d_.in) * dtype_size(math_)) : 0);
    s.total = s.weights + (widen_ ? panel_bytes() : 0);
    return s;
  }

  static size_t scratch_bytes(const matmul& m) {
    const_dnnl_primitive_desc_t pd = m.get_primitive_desc();
    return dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0));
  }

  void tile(const Job& job, int64_t slice, const Panel& p, char* scratch) const {
    const TensorView &x = job.x, &y = job.y;
    int64_t first = slice * job.rows, rows = std::min(job.rows, x.dim(0) - first);
    size_t which = (rows != job.rows ? 1u : 0u) + (panels_.size() > 1 && &p == &panels_.back() ? 2u : 0u);
    char* src = static_cast<char*>(x.data) + first * x.stride(0) * int64_t(dtype_size(x.dtype));
    if (widen_ || x.stride(0) != d_.in) {
      for (int64_t r = 0; r < rows; ++r) {
        convert_floats(src + r * x.stride(0) * int64_t(dtype_size(x.dtype)), x.dtype,
                       scratch + job.scratch.x + size_t(r * d_.in) * dtype_size(math_), math_, d_.in);
      }
      src = scratch + job.scratch.x;
    }
    char* weights = static_cast<char*>(weights_.data()) + p.offset * dtype_size(d_.compute);
    if (widen_) {
      convert_floats(weights, DType::bf16, scratch + job.scratch.weights, DType::f32, int64_t(p.packed.get_size() / 4));
      weights = scratch + job.scratch.weights;
    }
    int64_t es = int64_t(dtype_size(y.dtype));
    char* dst = static_cast<char*>(y.data) + (first * y.stride(0) + p.begin) * es;
    bool direct = job.tile == y.dtype && (y.stride(0) == p.cols || rows == 1);
    const dnnl::engine& e = state_->engine;
    memory src_m({{rows, d_.in}, dnnl_type(math_), memory::format_tag::ab}, e, src), weights_m(p.packed, e, weights);
    memory bias_m({{1, p.cols}, memory::data_type::f32, memory::format_tag::ab}, e, bias_.as<float>() + p.begin);
    memory dst_m({{rows, p.cols}, dnnl_type(job.tile), memory::format_tag::ab}, e, direct ? dst : scratch);
    memory library_m({{int64_t(scratch_bytes(*job.primitives[which]))}, memory::data_type::u8, memory::format_tag::a}, e,
                     scratch + job.scratch.library);
    dnnl::stream stream(e);
    job.primitives[which]->execute(stream, {{DNNL_ARG_SRC, src_m},
                                            {DNNL_ARG_WEIGHTS, weights_m},
                                            {DNNL_ARG_BIAS, bias_m},
                                            {DNNL_ARG_DST, dst_m},
                                            {DNNL_ARG_SCRATCHPAD, library_m}});
    for (int64_t r = 0; r < rows && !direct; ++r) {
      convert_floats(scratch + size_t(r * p.cols) * dtype_size(job.tile), job.tile, dst + r * y.stride(0) * es, y.dtype, p.cols);
    }
  }

  LinearDesc d_;
  bool widen_;  // bf16 storage, f32 arithmetic: for machines without bf16 dot products
  DType math_;  // type of the arithmetic
  std::shared_ptr<DnnlState> state_;
  std::vector<Panel> panels_;
  Tensor weights_, bias_;
  mutable std::mutex mutex_;
  mutable std::map<std::tuple<int64_t, int64_t, DType>, std::shared_ptr<const matmul>> cache_;  // guarded by mutex_
};

class DnnlLinearBackend final : public LinearBackend {
 public:
  explicit DnnlLinearBackend(std::shared_ptr<DnnlState> state) : state_(std::move(state)) {}
  std::string_view name() const override { return "onednn"; }
  std::string why_not(const LinearDesc&, const ExecContext&) const override { return {}; }
  Result<std::unique_ptr<PackedLinear>> pack(const LinearDesc& d, std::span<const LinearRows> rows,
                                             const ExecContext& ctx) const override {
    bool widen = d.compute == DType::bf16 && ctx.isa < Isa::avx512_bf16;
    auto packed = std::make_unique<DnnlLinear>(d, widen, state_);
    ZT_RETURN_IF_ERROR(packed->pack(rows, ctx));
    return std::unique_ptr<PackedLinear>(std::move(packed));
  }

 private:
  std::shared_ptr<DnnlState> state_;
};

}  // namespace

std::shared_ptr<const LinearBackend> make_dnnl_linear(std::shared_ptr<DnnlState> state) {
  return std::make_shared<DnnlLinearBackend>(std::move(state));
}

}  // namespace zt
