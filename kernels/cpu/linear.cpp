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

// Even panels in multiples of 64 (oneDNN's own column block); the last one takes what is left. A panel of packed weights
// is read for every slice of rows, so it should about fit a second-level cache, but be no narrower than 256 columns: below
// that reading x costs more than it saves. A single panel is written without a copy.
int64_t panel_width(const LinearDesc& d, DType math) {
  constexpr int64_t kBytes = 1 << 20, kLeast = 256, kMost = 1280, kBlock = 64;
  int64_t most = std::clamp(kBytes / (d.in * int64_t(dtype_size(math))), kLeast, kMost);
  int64_t panels = (d.out + most - 1) / most;
  return (d.out + panels * kBlock - 1) / (panels * kBlock) * kBlock;
}

// Slices of about 256 rows, so that a panel of weights is read for many rows; down to 96 when there are fewer than kTasks
// tasks and each still has kMinWork multiply-adds (about 50 us with bf16 instructions).
int64_t slice_rows(int64_t m, int64_t panels, int64_t width, int64_t in) {
  constexpr int64_t kRows = 256, kLeast = 96, kTasks = 16, kMinWork = 10 << 20;
  int64_t wanted = (kTasks + panels - 1) / panels;
  int64_t least = std::clamp(kMinWork / (width * in), kLeast, kRows);
  int64_t slices = std::max((m + kRows - 1) / kRows, std::min(wanted, m / least));
  if (slices > 1) slices += slices % 2;  // an even count shares out better
  return std::max<int64_t>(1, std::min(m, ((m + slices - 1) / std::max<int64_t>(1, slices) + 7) / 8 * 8));
}

struct Panel {
  int64_t begin = 0, cols = 0;
  memory::desc packed;   // [in, cols]
  size_t offset = 0;     // of its packed weights, in elements of the storage type
  memory weights, bias;  // read by all threads; weights only where they are used as stored
};

// All a call of some shape needs, made once for it.
struct Plan {
  int64_t rows = 0, slices = 0;  // rows of a full slice
  DType tile = DType::f32;       // of a task's result before it is copied to y
  PrimitiveSet primitives;       // full slice and tail of the first panel's width, then of the last one's
  size_t library_at = 0, x_at = 0, weights_at = 0, scratch_bytes = 0;  // one thread's scratch: tile, library, x, weights
};

class DnnlLinear final : public PackedLinear {
 public:
  DnnlLinear(const LinearDesc& d, bool widen, std::shared_ptr<DnnlState> state)
      : d_(d), widen_(widen), math_(widen ? DType::f32 : d.compute), state_(std::move(state)) {}

  const LinearDesc& desc() const override { return d_; }
  size_t bytes() const override { return weights_.view().bytes() + bias_.view().bytes(); }

  Status pack(std::span<const LinearRows> rows, const ExecContext& ctx) {
    SingleThreaded one;
    int64_t width = panel_width(d_, math_);
    size_t total = 0;
    for (int64_t c = 0; c < d_.out; c += width) {
      Panel p;
      p.begin = c, p.cols = std::min(width, d_.out - c), p.offset = total;
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
    char* stored = static_cast<char*>(weights_.data());
    for (Panel& p : panels_) {
      p.bias = memory({{1, p.cols}, memory::data_type::f32, memory::format_tag::ab}, state_->engine, bias_.as<float>() + p.begin);
      if (!widen_) p.weights = memory(p.packed, state_->engine, stored + p.offset * dtype_size(d_.compute));
    }
    size_t plain = align64(size_t(width * d_.in) * dtype_size(math_)), packed = widen_ ? panel_bytes() : 0;
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
    if (x.dim(0) == 0) return;
    std::shared_ptr<const Plan> plan = plan_for(x, y);
    int64_t panels = int64_t(panels_.size());
    auto handles = plan->primitives.borrow(state_->engine, ctx.threads);
    auto scratch = state_->scratch.take(size_t(ctx.threads) * plan->scratch_bytes);
    SingleThreaded one;
    // Slices run in groups that stay in the last-level cache while all panels pass over them.
    int64_t group = std::max<int64_t>(1, kGroupBytes / (plan->rows * d_.in * int64_t(dtype_size(d_.compute))));
    parallel_for(ctx.threads, plan->slices * panels, [&](int64_t i) {
      int64_t g = i / (group * panels), in_group = std::min(group, plan->slices - g * group), at = i - g * group * panels;
      size_t thread = size_t(thread_index());
      tile(*plan, handles[thread], x, y, g * group + at % in_group, panels_[size_t(at / in_group)],
           scratch.data() + thread * plan->scratch_bytes);
    });
  }

 private:
  static constexpr int64_t kGroupBytes = 8 << 20;

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

  // Dense rows are used where they are; x that needs a change of type or has gaps is copied slice by slice.
  bool copies_x(const TensorView& x) const { return widen_ || x.stride(0) != d_.in; }

  std::shared_ptr<const Plan> plan_for(const TensorView& x, const TensorView& y) const {
    std::lock_guard lock(mutex_);
    auto& slot = plans_[{x.dim(0), y.dtype, copies_x(x)}];
    if (!slot) slot = make_plan(x.dim(0), y.dtype, copies_x(x));
    return slot;
  }

  std::shared_ptr<const Plan> make_plan(int64_t m, DType result, bool copy_x) const {
    SingleThreaded one;
    auto plan = std::make_shared<Plan>();
    int64_t widest = panels_.front().cols;
    plan->rows = slice_rows(m, int64_t(panels_.size()), widest, d_.in);
    plan->slices = (m + plan->rows - 1) / plan->rows;
    // oneDNN has no f32 matmul with a bf16 result: those are rounded when the tile is copied.
    plan->tile = math_ == DType::f32 ? DType::f32 : result;
    for (size_t i = 0; i < 4; ++i) {
      int64_t rows = i % 2 ? m % plan->rows : plan->rows;
      if (rows == 0 || (i >= 2 && panels_.size() == 1)) continue;
      const Panel& p = i < 2 ? panels_.front() : panels_.back();
      auto pd = make_pd(rows, p.cols, p.packed, plan->tile);
      plan->primitives.add(i, matmul(pd), pd.src_desc(), pd.dst_desc(), pd.scratchpad_desc().get_size());
    }
    plan->library_at = align64(size_t(plan->rows * widest) * dtype_size(plan->tile));
    plan->x_at = plan->library_at + align64(plan->primitives.library_bytes());
    plan->weights_at = plan->x_at + (copy_x ? align64(size_t(plan->rows * d_.in) * dtype_size(math_)) : 0);
    plan->scratch_bytes = plan->weights_at + (widen_ ? panel_bytes() : 0);
    return plan;
  }

  void tile(const Plan& plan, PrimitiveSet::Thread& handles, const TensorView& x, const TensorView& y, int64_t slice,
            const Panel& p, char* scratch) const {
    int64_t first = slice * plan.rows, rows = std::min(plan.rows, x.dim(0) - first);
    size_t kind = (rows != plan.rows ? 1u : 0u) + (panels_.size() > 1 && &p == &panels_.back() ? 2u : 0u);
    int64_t xs = int64_t(dtype_size(x.dtype)), ys = int64_t(dtype_size(y.dtype));
    char* src = static_cast<char*>(x.data) + first * x.stride(0) * xs;
    if (copies_x(x)) {
      char* copy = scratch + plan.x_at;
      for (int64_t r = 0; r < rows; ++r) {
        convert_floats(src + r * x.stride(0) * xs, x.dtype, copy + size_t(r * d_.in) * dtype_size(math_), math_, d_.in);
      }
      src = copy;
    }
    memory weights = p.weights;
    if (widen_) {
      convert_floats(weights_.as<bf16>() + p.offset, DType::bf16, scratch + plan.weights_at, DType::f32,
                     int64_t(p.packed.get_size() / 4));
      weights = memory(p.packed, state_->engine, scratch + plan.weights_at);
    }
    char* dst = static_cast<char*>(y.data) + (first * y.stride(0) + p.begin) * ys;
    bool direct = plan.tile == y.dtype && (y.stride(0) == p.cols || rows == 1);
    handles.run(kind, {src, direct ? dst : scratch, scratch + plan.library_at}, weights, p.bias);
    for (int64_t r = 0; r < rows && !direct; ++r) {
      convert_floats(scratch + size_t(r * p.cols) * dtype_size(plan.tile), plan.tile, dst + r * y.stride(0) * ys, y.dtype,
                     p.cols);
    }
  }

  LinearDesc d_;
  bool widen_;  // bf16 storage, f32 arithmetic: for machines without bf16 dot products
  DType math_;  // type of the arithmetic
  std::shared_ptr<DnnlState> state_;
  std::vector<Panel> panels_;
  Tensor weights_, bias_;
  mutable std::mutex mutex_;
  // By rows, type of y and whether x is copied; guarded by mutex_.
  mutable std::map<std::tuple<int64_t, DType, bool>, std::shared_ptr<const Plan>> plans_;
};

class DnnlLinearBackend final : public LinearBackend {
 public:
  explicit DnnlLinearBackend(std::shared_ptr<DnnlState> state) : state_(std::move(state)) {}
  std::string_view name() const override { return "onednn"; }
  std::string why_not(const LinearDesc&, const ExecContext&) const override { return {}; }
  Result<std::unique_ptr<PackedLinear>> pack(const LinearDesc& d, std::span<const LinearRows> rows,
                                             const ExecContext& ctx) const override {
    bool widen = d.compute == DType::bf16 && !has_bf16(ctx);
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
