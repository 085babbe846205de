// Convolution on oneDNN's single-threaded primitive, in strips of output rows cut by shape only. A task copies its part
// of the kt input frames (with halo, zero rows and zero frames, and with the nearest-neighbour doubling) into scratch
// that fits the second-level cache, so the frames stay where they are and no clip is ever assembled.
#include <algorithm>
#include <cstring>
#include <map>
#include <tuple>

#include "kernels/core/parallel.h"
#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/dnnl_support.h"

namespace zt {
namespace {

using dnnl::convolution_forward;
using dnnl::memory;

// Input rows a strip of `rows` output rows reads, and the frame row (after doubling) the first of them is.
struct Window {
  int64_t first, rows;
};
Window window(const ConvDesc& d, int64_t y, int64_t rows) {
  if (d.space == ConvSpace::down2) return {2 * y, 2 * (rows - 1) + d.kh};
  return {y - (d.kh - 1) / 2, rows + d.kh - 1};
}

// All a call on frames of some size needs, made once for it.
struct Plan {
  int64_t h = 0, w = 0, rows = 0, strips = 0;  // h, w of the input frames, rows of a full strip
  ConvSize size;
  PrimitiveSet primitives;  // full strip, last strip
  memory weights[2];        // in the layout each of the two wants
  std::vector<memory::desc> layouts;  // further ones made for this size
  size_t staged_at = 0, library_at = 0, scratch_bytes = 0;  // one thread's scratch: input, f32 result, library
};

// Each of n pixels twice.
template <size_t kBytes>
void double_pixels(const char* from, char* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i, from += kBytes, to += 2 * kBytes) {
    std::memcpy(to, from, kBytes);
    std::memcpy(to + kBytes, from, kBytes);
  }
}
void double_pixels(const char* from, char* to, int64_t n, size_t bytes) {
  switch (bytes) {  // the small sizes, where a call of memcpy would cost more than the copy
    case 16: return double_pixels<16>(from, to, n);
    case 32: return double_pixels<32>(from, to, n);
    case 64: return double_pixels<64>(from, to, n);
    case 128: return double_pixels<128>(from, to, n);
    default: break;
  }
  for (int64_t i = 0; i < n; ++i, from += bytes, to += 2 * bytes) {
    std::memcpy(to, from, bytes);
    std::memcpy(to + bytes, from, bytes);
  }
}

class DnnlConv final : public PackedConv {
 public:
  DnnlConv(const ConvDesc& d, bool widen, std::shared_ptr<DnnlState> state)
      : d_(d), math_(widen ? DType::f32 : d.compute), state_(std::move(state)) {
    // oneDNN has no f32 convolution with a bf16 result: those are rounded (and added) from an f32 strip.
    staged_ = math_ == DType::f32 && d.result == DType::bf16;
  }

  const ConvDesc& desc() const override { return d_; }
  size_t bytes() const override {
    std::lock_guard lock(mutex_);
    size_t more = 0;
    for (const auto& layout : more_layouts_) more += layout.first.view().bytes();
    return weights_.view().bytes() + bias_.view().bytes() + more;
  }

  Status pack(const TensorView& weight, const TensorView& bias, const ExecContext& ctx) {
    SingleThreaded one;
    packed_ = layout();
    ZT_ASSIGN_OR_RETURN(weights_, ctx.arena->make(DType::u8, {int64_t(packed_.get_size())}));
    ZT_ASSIGN_OR_RETURN(bias_, ctx.arena->zeros(DType::f32, {d_.out}));
    if (bias) convert_floats(bias.data, bias.dtype, bias_.data(), DType::f32, d_.out);
    auto scratch = state_->scratch.take(size_t(weight.count()) * 4);
    convert_floats(weight.data, weight.dtype, scratch.data(), d_.compute, weight.count());
    if (math_ != d_.compute) {
      auto narrow = state_->scratch.take(size_t(weight.count()) * 2);
      std::memcpy(narrow.data(), scratch.data(), size_t(weight.count()) * 2);
      convert_floats(narrow.data(), d_.compute, scratch.data(), math_, weight.count());
    }
    memory from({weight_dims(), dnnl_type(math_), is_3d() ? memory::format_tag::oidhw : memory::format_tag::oihw}, state_->engine,
                scratch.data());
    memory to(packed_, state_->engine, weights_.data());
    dnnl::stream stream(state_->engine);
    dnnl::reorder(from, to).execute(stream, from, to);
    packed_weights_ = to;
    packed_bias_ = memory({{d_.out}, memory::data_type::f32, memory::format_tag::a}, state_->engine, bias_.data());
    return {};
  }

  // What pack and workspace_bytes will say.
  ConvBytes bytes_before(int64_t h, int64_t w, const ExecContext& ctx) {
    SingleThreaded one;
    packed_ = layout();
    size_t weights = Arena::block_bytes(packed_.get_size()) + Arena::block_bytes(size_t(d_.out) * 4);
    size_t scratch = 0;
    std::vector<memory::desc> more;
    for (int live = 1; live <= d_.kt; ++live) {
      auto plan = make_plan(h, w, live, nullptr);
      scratch = std::max(scratch, plan->scratch_bytes);
      for (const memory::desc& l : plan->layouts) {
        if (std::find(more.begin(), more.end(), l) == more.end()) more.push_back(l);
      }
    }
    for (const memory::desc& l : more) weights += Arena::block_bytes(l.get_size());
    return {weights, size_t(ctx.threads) * scratch};
  }

  size_t workspace_bytes(int64_t h, int64_t w, const ExecContext& ctx) const override {
    size_t scratch = 0;
    for (int live = 1; live <= d_.kt; ++live) scratch = std::max(scratch, plan_for(h, w, live, ctx)->scratch_bytes);
    return size_t(ctx.threads) * scratch;
  }

  void run(std::span<const void* const> in, std::span<void* const> out, int64_t h, int64_t w, void* workspace,
           const ExecContext& ctx) const override {
    ZT_CHECK(in.size() == size_t(d_.kt) + (out.size() - 1) * size_t(d_.stride_t));
    // Frames before the clip begins become padding, whose products the library leaves out.
    int live = d_.kt;
    for (; out.size() == 1 && live > 1 && !in.front(); --live) in = in.subspan(1);
    std::shared_ptr<const Plan> plan = plan_for(h, w, live, ctx);
    auto handles = plan->primitives.borrow(state_->engine, ctx.threads);
    SingleThreaded one;
    parallel_for(ctx.threads, int64_t(out.size()) * plan->strips, [&](int64_t i) {
      // A call on one thread may stand inside a parallel loop (thin_conv.cpp).
      size_t frame = size_t(i / plan->strips), thread = ctx.threads > 1 ? size_t(thread_index()) : 0;
      strip(*plan, handles[thread], in.subspan(frame * size_t(d_.stride_t), size_t(live)), out[frame], i % plan->strips,
            static_cast<char*>(workspace) + thread * plan->scratch_bytes);
    });
  }

 private:
  bool is_3d() const { return d_.kt > 1; }
  int64_t scale() const { return d_.space == ConvSpace::up2_nearest ? 2 : 1; }

  memory::dims weight_dims() const {
    if (is_3d()) return {d_.out, d_.in, d_.kt, d_.kh, d_.kw};
    return {d_.out, d_.in, d_.kh, d_.kw};
  }
  memory::desc frames(int64_t channels, int64_t t, int64_t h, int64_t w, DType type) const {
    if (is_3d()) return {{1, channels, t, h, w}, dnnl_type(type), memory::format_tag::ndhwc};
    return {{1, channels, h, w}, dnnl_type(type), memory::format_tag::nhwc};
  }
  memory::dims spatial(int64_t t, int64_t y, int64_t x) const {
    if (is_3d()) return {t, y, x};
    return {y, x};
  }

  memory::desc any_layout() const { return {weight_dims(), dnnl_type(math_), memory::format_tag::any}; }

  // oneDNN's favourite for a strip of middling size. It depends on channels and taps, but now and then on the strip too,
  // and another layout than the favourite one falls to its reference code, a thousand times slower: see fits.
  memory::desc layout() const {
    constexpr int64_t kTypical = 64;
    return make_pd(8, kTypical, d_.kt, any_layout()).weights_desc();
  }

  static bool is_fast(const convolution_forward::primitive_desc& pd) {
    return !std::string_view(pd.impl_info_str()).starts_with("ref");
  }
  // Whether strips of `rows` run well on the weights as packed.
  bool fits(int64_t rows, int64_t w, int live) const {
    return rows == 0 || is_fast(make_pd(rows, w, live, packed_));
  }

  // rows: of the strip's output. w: of the input frames. live: how many frames of the window there are, the last ones.
  convolution_forward::primitive_desc make_pd(int64_t rows, int64_t w, int live, const memory::desc& weights) const {
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    if (d_.accumulate && !staged_) {
      dnnl::post_ops post;
      post.append_sum(1.f);
      attr.set_post_ops(post);
    }
    bool down = d_.space == ConvSpace::down2;
    int64_t left = down ? 0 : (d_.kw - 1) / 2, right = down ? 1 : d_.kw - 1 - left, step = down ? 2 : 1;
    memory::desc src = frames(d_.in, live, window(d_, 0, rows).rows, w * scale(), math_);
    memory::desc bias({d_.out}, memory::data_type::f32, memory::format_tag::a);
    memory::desc dst = frames(d_.out, 1, rows, conv_out_size(d_, d_.kh, w).w, staged_ ? DType::f32 : d_.result);
    convolution_forward::desc desc(dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, src, weights, bias,
                                   dst, spatial(1, step, step), spatial(d_.kt - live, 0, left), spatial(0, 0, right));
    return convolution_forward::primitive_desc(desc, attr, state_->engine);
  }

  // Strips of about kBytes of input, so that it stays in a 1 MiB second-level cache beside the results; at least kPixels
  // when the weights are larger than that cache and so come from further away for each strip; and fewer, larger ones
  // than kStrips only where a strip would have less than kMinWork multiply-adds (about 30 us with bf16 instructions).
  int64_t strip_rows(const ConvSize& size, int64_t w) const {
    constexpr int64_t kBytes = 512 << 10, kPixels = 512, kStrips = 16, kMinWork = 8 << 20;
    int64_t taps = int64_t(d_.kt) * d_.kh * d_.kw, row_work = size.w * taps * d_.in * d_.out;
    int64_t row = d_.kt * w * scale() * d_.in * int64_t(dtype_size(math_)) * (d_.space == ConvSpace::down2 ? 2 : 1);
    int64_t most = std::max<int64_t>(4, kBytes / row), least = std::max<int64_t>(1, kMinWork / row_work);
    if (taps * d_.in * d_.out * int64_t(dtype_size(math_)) > 2 * kBytes)
      least = most = std::max((kPixels + size.w - 1) / size.w, least);
    return std::min(size.h, std::clamp((size.h + kStrips - 1) / kStrips, std::min(least, most), most));
  }

  std::shared_ptr<const Plan> plan_for(int64_t h, int64_t w, int live, const ExecContext& ctx) const {
    std::lock_guard lock(mutex_);
    auto& slot = plans_[{h, w, live}];
    if (!slot) slot = make_plan(h, w, live, ctx.arena);
    return slot;
  }

  // Near `wanted`, a height whose full and last strips both fit the packed weights, or `wanted` itself.
  int64_t fitting_rows(int64_t wanted, int64_t h, int64_t w, int live) const {
    for (int64_t step = 0; step <= std::max<int64_t>(1, wanted / 4); ++step) {
      for (int64_t rows : {wanted + step, wanted - step}) {
        if (rows > 0 && rows <= h && fits(rows, w, live) && fits(h % rows, w, live)) return rows;
      }
    }
    return wanted;
  }

  // Without an arena only the sizes are right.
  std::shared_ptr<const Plan> make_plan(int64_t h, int64_t w, int live, Arena* arena) const {
    SingleThreaded one;
    size_t library = 0;
    auto plan = std::make_shared<Plan>();
    plan->h = h, plan->w = w, plan->size = conv_out_size(d_, h, w);
    plan->rows = fitting_rows(strip_rows(plan->size, w), plan->size.h, w, live);
    plan->strips = (plan->size.h + plan->rows - 1) / plan->rows;
    for (size_t kind : {0, 1}) {
      int64_t rows = kind == 0 ? plan->rows : plan->size.h % plan->rows;
      if (rows == 0) continue;
      auto pd = make_pd(rows, w, live, packed_);
      plan->weights[kind] = packed_weights_;
      if (!is_fast(pd)) {
        auto better = make_pd(rows, w, live, any_layout());
        plan->layouts.push_back(better.weights_desc());
        memory weights = arena ? in_layout(better.weights_desc(), *arena) : memory();
        if (weights || !arena) pd = better, plan->weights[kind] = weights;
      }
      library = std::max(library, pd.scratchpad_desc().get_size());
      if (arena)
        plan->primitives.add(kind, convolution_forward(pd), pd.src_desc(), pd.dst_desc(), pd.scratchpad_desc().get_size());
    }
    plan->staged_at = align64(size_t(live * window(d_, 0, plan->rows).rows * w * scale() * d_.in) * dtype_size(math_));
    plan->library_at = plan->staged_at + (staged_ ? align64(size_t(plan->rows * plan->size.w * d_.out) * 4) : 0);
    plan->scratch_bytes = plan->library_at + align64(library);
    return plan;
  }

  // The weights once more in another layout, or nothing when the arena has no room: the call is slow then, but right.
  memory in_layout(const memory::desc& layout, Arena& arena) const {
    for (const auto& [tensor, handle] : more_layouts_) {
      if (handle.get_desc() == layout) return handle;
    }
    auto bytes = arena.make(DType::u8, {int64_t(layout.get_size())});
    if (!bytes.ok()) return {};
    memory from = packed_weights_, to(layout, state_->engine, bytes->data());
    dnnl::stream stream(state_->engine);
    dnnl::reorder(from, to).execute(stream, from, to);
    more_layouts_.emplace_back(std::move(bytes).value(), to);
    return to;
  }

  // The strip's part of one frame: zero rows outside it, doubled in both directions when asked.
  void copy_rows(const Plan& plan, const void* frame, const Window& win, char* to) const {
    size_t pixel = size_t(d_.in) * dtype_size(math_), row = size_t(plan.w * scale()) * pixel;
    size_t from_row = size_t(plan.w * d_.in) * dtype_size(d_.compute);
    for (int64_t i = 0; i < win.rows; ++i, to += row) {
      int64_t y = win.first + i;
      if (!frame || y < 0 || y >= plan.h * scale()) {
        std::memset(to, 0, row);
        continue;
      }
      const char* from = static_cast<const char*>(frame) + size_t(y / scale()) * from_row;
      if (scale() == 1) {
        convert_floats(from, d_.compute, to, math_, plan.w * d_.in);
      } else if (i > 0 && y % 2 == 1) {
        std::memcpy(to, to - row, row);
      } else {
        if (math_ != d_.compute) {  // converted into the second half of the row, then spread from there, left to right
          convert_floats(from, d_.compute, to + row / 2, math_, plan.w * d_.in);
          from = to + row / 2;
        }
        double_pixels(from, to, plan.w, pixel);
      }
    }
  }

  void strip(const Plan& plan, PrimitiveSet::Thread& handles, std::span<const void* const> in, void* out, int64_t index,
             char* scratch) const {
    int64_t first = index * plan.rows, rows = std::min(plan.rows, plan.size.h - first);
    Window win = window(d_, first, rows);
    size_t frame_bytes = size_t(win.rows * plan.w * scale() * d_.in) * dtype_size(math_);
    const char* src = scratch;
    if (in.size() == 1 && d_.kh == 1 && d_.space == ConvSpace::same && math_ == d_.compute && in[0]) {
      src = static_cast<const char*>(in[0]) + size_t(first) * frame_bytes / size_t(win.rows);  // no halo: read where it is
    } else {
      for (size_t t = 0; t < in.size(); ++t) copy_rows(plan, in[t], win, scratch + t * frame_bytes);
    }
    int64_t at = first * plan.size.w * d_.out, count = rows * plan.size.w * d_.out;
    char* target = static_cast<char*>(out) + at * int64_t(dtype_size(d_.result));
    char* dst = staged_ ? scratch + plan.staged_at : target;
    handles.run(rows == plan.rows ? 0 : 1, {const_cast<char*>(src), dst, scratch + plan.library_at},
                plan.weights[rows == plan.rows ? 0 : 1], packed_bias_);
    if (!staged_) return;
    const float* from = reinterpret_cast<const float*>(dst);
    auto* to = reinterpret_cast<bf16*>(target);
    for (int64_t i = 0; i < count; ++i) to[i] = bf16(from[i] + (d_.accumulate ? float(to[i]) : 0.f));
  }

  ConvDesc d_;
  DType math_;  // type of the arithmetic: f32 where bf16 has no instructions
  bool staged_ = false;
  std::shared_ptr<DnnlState> state_;
  memory::desc packed_;
  Tensor weights_, bias_;
  memory packed_weights_, packed_bias_;  // read by all threads
  mutable std::mutex mutex_;
  mutable std::vector<std::pair<Tensor, memory>> more_layouts_;  // guarded by mutex_
  // By input size and frames that are there; guarded by mutex_.
  mutable std::map<std::tuple<int64_t, int64_t, int>, std::shared_ptr<const Plan>> plans_;
};

class DnnlConvBackend final : public ConvBackend {
 public:
  explicit DnnlConvBackend(std::shared_ptr<DnnlState> state) : state_(std::move(state)) {}
  std::string_view name() const override { return "onednn"; }
  std::string why_not(const ConvDesc&, const ExecContext&) const override { return {}; }
  Result<std::unique_ptr<PackedConv>> pack(const ConvDesc& d, const TensorView& weight, const TensorView& bias,
                                           const ExecContext& ctx) const override {
    if (is_thin(d)) return pack_thin_conv(*this, d, weight, bias, ctx);
    auto packed = std::make_unique<DnnlConv>(d, widens(d, ctx), state_);
    ZT_RETURN_IF_ERROR(packed->pack(weight, bias, ctx));
    return std::unique_ptr<PackedConv>(std::move(packed));
  }
  ConvBytes bytes(const ConvDesc& d, int64_t h, int64_t w, const ExecContext& ctx) const override {
    if (is_thin(d)) return thin_conv_bytes(*this, d, h, w, ctx);
    return DnnlConv(d, widens(d, ctx), state_).bytes_before(h, w, ctx);
  }

 private:
  static bool widens(const ConvDesc& d, const ExecContext& ctx) { return d.compute == DType::bf16 && !has_bf16(ctx); }

  std::shared_ptr<DnnlState> state_;
};

}  // namespace

std::shared_ptr<const ConvBackend> make_dnnl_conv(std::shared_ptr<DnnlState> state) {
  return std::make_shared<DnnlConvBackend>(std::move(state));
}

}  // namespace zt
