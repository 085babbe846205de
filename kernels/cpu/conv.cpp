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

size_t align64(size_t n) { return (n + 63) / 64 * 64; }

// Input rows a strip of `rows` output rows reads, and the frame row (after doubling) the first of them is.
struct Window {
  int64_t first, rows;
};
Window window(const ConvDesc& d, int64_t y, int64_t rows) {
  if (d.space == ConvSpace::down2) return {2 * y, 2 * (rows - 1) + d.kh};
  return {y - (d.kh - 1) / 2, rows + d.kh - 1};
}

class DnnlConv final : public PackedConv {
 public:
  DnnlConv(const ConvDesc& d, bool widen, std::shared_ptr<DnnlState> state)
      : d_(d), math_(widen ? DType::f32 : d.compute), state_(std::move(state)) {
    // oneDNN has no f32 convolution with a bf16 result: those are rounded (and added) from an f32 strip.
    staged_ = math_ == DType::f32 && d.result == DType::bf16;
  }

  const ConvDesc& desc() const override { return d_; }
  size_t bytes() const override { return weights_.view().bytes() + bias_.view().bytes(); }

  Status pack(const TensorView& weight, const TensorView& bias, const ExecContext& ctx) {
    SingleThreaded one;
    constexpr int64_t kTypical = 64;  // the layout depends on channels and taps, hardly on the width
    packed_ = make_pd(8, kTypical, memory::desc(weight_dims(), dnnl_type(math_), memory::format_tag::any)).weights_desc();
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
    return {};
  }

  size_t workspace_bytes(int64_t h, int64_t w, const ExecContext& ctx) const override {
    return size_t(ctx.threads) * layout(make_job(h, w)).total;
  }

  void run(std::span<const void* const> in, std::span<void* const> out, int64_t h, int64_t w, void* workspace,
           const ExecContext& ctx) const override {
    ZT_CHECK(in.size() == size_t(d_.kt) + (out.size() - 1) * size_t(d_.stride_t));
    Job job = make_job(h, w);
    Scratch s = layout(job);
    int64_t strips = (job.size.h + job.rows - 1) / job.rows;
    SingleThreaded one;
    parallel_for(ctx.threads, int64_t(out.size()) * strips, [&](int64_t i) {
      size_t frame = size_t(i / strips);
      strip(job, s, in.subspan(frame * size_t(d_.stride_t), size_t(d_.kt)), out[frame], i % strips,
            static_cast<char*>(workspace) + size_t(thread_index()) * s.total);
    });
  }

 private:
  struct Job {
    int64_t h, w, rows;
    ConvSize size;
    std::shared_ptr<const convolution_forward> full, tail;
  };
  struct Scratch {  // offsets of one thread's buffers
    size_t staged = 0, library = 0, total = 0;
  };

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

  // rows: of the strip's output. w: of the input frames.
  convolution_forward::primitive_desc make_pd(int64_t rows, int64_t w, const memory::desc& weights) const {
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    if (d_.accumulate && !staged_) {
      dnnl::post_ops post;
      post.append_sum(1.f);
      attr.set_post_ops(post);
    }
    bool down = d_.space == ConvSpace::down2;
    int64_t left = down ? 0 : (d_.kw - 1) / 2, right = down ? 1 : d_.kw - 1 - left, step = down ? 2 : 1;
    memory::desc src = frames(d_.in, d_.kt, window(d_, 0, rows).rows, w * scale(), math_);
    memory::desc bias({d_.out}, memory::data_type::f32, memory::format_tag::a);
    memory::desc dst = frames(d_.out, 1, rows, conv_out_size(d_, d_.kh, w).w, staged_ ? DType::f32 : d_.result);
    convolution_forward::desc desc(dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, src, weights, bias, dst,
                                   spatial(1, step, step), spatial(0, 0, left), spatial(0, 0, right));
    return convolution_forward::primitive_desc(desc, attr, state_->engine);
  }

  std::shared_ptr<const convolution_forward> primitive(int64_t rows, int64_t w) const {
    std::lock_guard lock(mutex_);
    auto& slot = cache_[{rows, w}];
    if (!slot) {
      SingleThreaded one;
      slot = std::make_shared<const convolution_forward>(make_pd(rows, w, packed_));
    }
    return slot;
  }

  // The strip's input should stay below half of a 1 MiB second-level cache, and there should be strips enough to share.
  int64_t strip_rows(const ConvSize& size, int64_t w) const {
    constexpr int64_t kBytes = 512 << 10, kLeast = 4, kStrips = 16;
    int64_t row = d_.kt * w * scale() * d_.in * int64_t(dtype_size(math_));
    int64_t rows = std::max<int64_t>(kLeast, kBytes / row / (d_.space == ConvSpace::down2 ? 2 : 1));
    rows = std::min(rows, std::max<int64_t>(kLeast, (size.h + kStrips - 1) / kStrips));
    return std::min(rows, size.h);
  }

  Job make_job(int64_t h, int64_t w) const {
    Job job{h, w, 0, conv_out_size(d_, h, w), {}, {}};
    job.rows = strip_rows(job.size, w);
    job.full = primitive(job.rows, w);
    if (job.size.h % job.rows) job.tail = primitive(job.size.h % job.rows, w);
    return job;
  }

  static size_t scratch_bytes(const convolution_forward& c) {
    return dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(c.get_primitive_desc(), dnnl_query_scratchpad_md, 0));
  }

  Scratch layout(const Job& job) const {
    Scratch s;
    s.staged = align64(size_t(d_.kt * window(d_, 0, job.rows).rows * job.w * scale() * d_.in) * dtype_size(math_));
    s.library = s.staged + (staged_ ? align64(size_t(job.rows * job.size.w * d_.out) * 4) : 0);
    s.total = s.library + align64(std::max(scratch_bytes(*job.full), job.tail ? scratch_bytes(*job.tail) : 0));
    return s;
  }

  // The strip's part of one frame: zero rows outside it, doubled in both directions when asked.
  void copy_rows(const Job& job, const void* frame, const Window& win, char* to) const {
    size_t pixel = size_t(d_.in) * dtype_size(math_), row = size_t(job.w * scale()) * pixel, from_pixel = size_t(d_.in) * dtype_size(d_.compute);
    for (int64_t i = 0; i < win.rows; ++i, to += row) {
      int64_t y = win.first + i;
      if (!frame || y < 0 || y >= job.h * scale()) {
        std::memset(to, 0, row);
        continue;
      }
      const char* from = static_cast<const char*>(frame) + size_t(y / scale() * job.w) * from_pixel;
      if (scale() == 1) {
        convert_floats(from, d_.compute, to, math_, job.w * d_.in);
      } else if (i > 0 && y % 2 == 1) {
        std::memcpy(to, to - row, row);
      } else {
        for (int64_t x = 0; x < job.w; ++x) {
          char* at = to + size_t(2 * x) * pixel;
          convert_floats(from + size_t(x) * from_pixel, d_.compute, at, math_, d_.in);
          std::memcpy(at + pixel, at, pixel);
        }
      }
    }
  }

  void strip(const Job& job, const Scratch& s, std::span<const void* const> in, void* out, int64_t index, char* scratch) const {
    int64_t first = index * job.rows, rows = std::min(job.rows, job.size.h - first);
    Window win = window(d_, first, rows);
    size_t frame_bytes = size_t(win.rows * job.w * scale() * d_.in) * dtype_size(math_);
    for (size_t t = 0; t < in.size(); ++t) copy_rows(job, in[t], win, scratch + t * frame_bytes);

    const auto& conv = rows == job.rows ? *job.full : *job.tail;
    int64_t at = first * job.size.w * d_.out, count = rows * job.size.w * d_.out;
    char* target = static_cast<char*>(out) + at * int64_t(dtype_size(d_.result));
    const dnnl::engine& e = state_->engine;
    memory src_m(frames(d_.in, d_.kt, win.rows, job.w * scale(), math_), e, scratch), weights_m(packed_, e, weights_.data());
    memory bias_m({{d_.out}, memory::data_type::f32, memory::format_tag::a}, e, bias_.data());
    memory dst_m(frames(d_.out, 1, rows, job.size.w, staged_ ? DType::f32 : d_.result), e, staged_ ? scratch + s.staged : target);
    memory library_m({{int64_t(scratch_bytes(conv))}, memory::data_type::u8, memory::format_tag::a}, e, scratch + s.library);
    dnnl::stream stream(e);
    conv.execute(stream, {{DNNL_ARG_SRC, src_m},
                          {DNNL_ARG_WEIGHTS, weights_m},
                          {DNNL_ARG_BIAS, bias_m},
                          {DNNL_ARG_DST, dst_m},
                          {DNNL_ARG_SCRATCHPAD, library_m}});
    if (!staged_) return;
    const float* from = reinterpret_cast<const float*>(scratch + s.staged);
    auto* to = reinterpret_cast<bf16*>(target);
    for (int64_t i = 0; i < count; ++i) to[i] = bf16(from[i] + (d_.accumulate ? float(to[i]) : 0.f));
  }

  ConvDesc d_;
  DType math_;  // type of the arithmetic: f32 where bf16 has no instructions
  bool staged_ = false;
  std::shared_ptr<DnnlState> state_;
  memory::desc packed_;
  Tensor weights_, bias_;
  mutable std::mutex mutex_;
  mutable std::map<std::pair<int64_t, int64_t>, std::shared_ptr<const convolution_forward>> cache_;  // guarded by mutex_
};

class DnnlConvBackend final : public ConvBackend {
 public:
  explicit DnnlConvBackend(std::shared_ptr<DnnlState> state) : state_(std::move(state)) {}
  std::string_view name() const override { return "onednn"; }
  std::string why_not(const ConvDesc&, const ExecContext&) const override { return {}; }
  Result<std::unique_ptr<PackedConv>> pack(const ConvDesc& d, const TensorView& weight, const TensorView& bias,
                                           const ExecContext& ctx) const override {
    bool widen = d.compute == DType::bf16 && ctx.isa < Isa::avx512_bf16;
    auto packed = std::make_unique<DnnlConv>(d, widen, state_);
    ZT_RETURN_IF_ERROR(packed->pack(weight, bias, ctx));
    return std::unique_ptr<PackedConv>(std::move(packed));
  }

 private:
  std::shared_ptr<DnnlState> state_;
};

}  // namespace

std::shared_ptr<const ConvBackend> make_dnnl_conv(std::shared_ptr<DnnlState> state) {
  return std::make_shared<DnnlConvBackend>(std::move(state));
}

}  // namespace zt
