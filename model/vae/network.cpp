#include "model/vae/network.h"

#include <algorithm>

#include "kernels/api/ops.h"

namespace zt {

size_t attention_workspace(const AttentionPlan& plan, int64_t channels, DType compute, const ExecContext& ctx) {
  AttentionProblem p{.head_dim = channels, .dtype = compute};
  return choose_attention(plan, p, ctx).workspace_bytes(plan, p, ctx);
}

Result<VaeNetwork> VaeNetwork::load(const std::vector<VaeLayer>& layers, WeightStore& store, DType compute, const ExecContext& ctx) {
  VaeNetwork net;
  net.compute_ = compute;
  for (const VaeLayer& l : layers) {
    if (ctx.cancelled()) return Status(Code::kCancelled, "cancelled while loading the VAE");
    ZT_ASSIGN_OR_RETURN(VaeBlock block, load_block(l, store, compute, ctx));
    net.blocks_.push_back(std::move(block));
  }
  return net;
}

size_t VaeNetwork::weight_bytes() const {
  size_t sum = 0;
  for (const VaeBlock& b : blocks_) sum += b.weight_bytes();
  return sum;
}

Status VaeNetwork::begin(int64_t h, int64_t w, const ExecContext& ctx) {
  ZT_CHECK(h > 0 && w > 0);
  // A clip of the same size as the one before finds its buffers ready.
  if (!begun() || blocks_.front().h != h || blocks_.front().w != w) {
    end();
    std::vector<VaeLayer> layers;
    for (const VaeBlock& b : blocks_) layers.push_back(b.layer);
    plan_ = plan_clip(layers, h, w, compute_);
    attention_ = AttentionPlan::dense(plan_.attention, plan_.attention);
    for (size_t i = 0; i < blocks_.size(); ++i) blocks_[i].h = plan_.layers[i].h, blocks_[i].w = plan_.layers[i].w;
    ZT_RETURN_IF_ERROR(pool_.allocate(plan_, *ctx.arena));
    ZT_ASSIGN_OR_RETURN(workspace_, ctx.arena->make(DType::u8, {int64_t(workspace_bytes(ctx))}));
    ZT_ASSIGN_OR_RETURN(slots_[1], ctx.arena->make(DType::u8, {int64_t(plan_.slot)}));
    ZT_ASSIGN_OR_RETURN(slots_[0], ctx.arena->make(DType::u8, {int64_t(plan_.slot)}));
  }
  pool_.reset();
  for (VaeBlock& b : blocks_) {
    b.frames = 0;
    auto [in_h, in_w, in] = FrameSize{b.h, b.w, b.layer.in};
    b.history[0] = {{in_h, in_w, in}, {}};
    b.history[1] = {{in_h, in_w, b.layer.out}, {}};
    if (b.layer.kind == VaeLayerKind::down3d) b.history[0] = {{in_h / 2, in_w / 2, b.layer.out}, {}};
  }
  input_ = pool_.take(blocks_.front().history[0].size);
  return {};
}

void VaeNetwork::end() {
  pool_.clear();
  slots_ = {};
  workspace_ = {};
  input_ = nullptr;
}

size_t VaeNetwork::workspace_bytes(const ExecContext& ctx) const {
  size_t most = 0;
  for (const VaeBlock& b : blocks_) {
    size_t at = 0;
    for (const ConvPart& part : conv_parts(b.layer, compute_)) {
      most = std::max(most, b.conv[at++]->workspace_bytes(b.h / part.shrink, b.w / part.shrink, ctx));
    }
    if (b.layer.kind == VaeLayerKind::attention) most = std::max(most, attention_workspace(*attention_, b.layer.in, compute_, ctx));
  }
  return most;
}

TensorView VaeNetwork::view(size_t slot, int64_t rows, int64_t channels) const {
  return slots_[slot].view().overlay(compute_, {rows, channels});
}

TensorView VaeNetwork::frame(const FrameSize& size, void* data) const {
  TensorView v(data, compute_, {size.h * size.w, size.channels});
  v.device = slots_[0].view().device;
  return v;
}

TensorView VaeNetwork::input() {
  ZT_CHECK(input_);
  return frame(blocks_.front().history[0].size, input_);
}

Status VaeNetwork::push(const Emit& emit, const ExecContext& ctx) {
  VaeBlock& b = blocks_.front();
  causal(*b.conv[0], b.history[0], input_, slots_[0].data(), ctx);
  input_ = nullptr;  // it is history now; a push that fails leaves the network without input until the next begin
  ZT_RETURN_IF_ERROR(run(1, 0, emit, ctx));
  input_ = pool_.take(b.history[0].size);
  return {};
}

Status VaeNetwork::run(size_t first, size_t at, const Emit& emit, const ExecContext& ctx) {
  for (size_t i = first; i < blocks_.size(); ++i) {
    if (ctx.cancelled()) return {Code::kCancelled, "cancelled in the VAE"};
    VaeBlock& b = blocks_[i];
    switch (b.layer.kind) {
      case VaeLayerKind::res: residual(b, at, ctx); break;
      case VaeLayerKind::attention: attend(b, at, ctx); break;
      case VaeLayerKind::up3d:
        if (b.frames++ > 0) return upsample_time(i, at, emit, ctx);
        [[fallthrough]];  // the first frame of a clip passes by, and is nobody's past
      case VaeLayerKind::up2d:
      case VaeLayerKind::down2d:
      case VaeLayerKind::down3d: {
        const void* window[] = {slots_[at].data()};
        convolve(*b.conv[0], window, slots_[1 - at].data(), b.h, b.w, ctx);
        at = 1 - at;
        if (b.layer.kind == VaeLayerKind::down3d && !downsample_time(b, at, ctx)) return {};
        break;
      }
      case VaeLayerKind::head: return head(b, at, emit, ctx);
      case VaeLayerKind::conv_in: throw Bug("conv_in is the first layer");
    }
  }
  throw Bug("the layers do not end in a head");
}

void VaeNetwork::residual(VaeBlock& b, size_t& at, const ExecContext& ctx) {
  const int64_t pixels = b.h * b.w, in = b.layer.in, out = b.layer.out;
  void* first = pool_.take(b.history[0].size);
  {
    ProfileZone zone(ctx.profiler, "vae.norm");
    channel_norm({view(at, pixels, in), b.gamma[0], true, frame(b.history[0].size, first)}, ctx);
  }
  if (b.linear[0]) {
    ProfileZone zone(ctx.profiler, "vae.linear", 2.0 * double(pixels) * double(in) * double(out));
    b.linear[0]->run(view(at, pixels, in), view(1 - at, pixels, out), ctx);
    at = 1 - at;
  }
  void* middle = slots_[1 - at].data();
  causal(*b.conv[0], b.history[0], first, middle, ctx);
  void* second = pool_.take(b.history[1].size);
  {
    ProfileZone zone(ctx.profiler, "vae.norm");
    channel_norm({view(1 - at, pixels, out), b.gamma[1], true, frame(b.history[1].size, second)}, ctx);
  }
  causal(*b.conv[1], b.history[1], second, slots_[at].data(), ctx);  // adds to the input
}

void VaeNetwork::attend(VaeBlock& b, size_t at, const ExecContext& ctx) {
  const int64_t n = b.h * b.w, c = b.layer.in;
  const double pairs = double(n) * double(n), width = double(c);
  const TensorView x = view(at, n, c), y = view(1 - at, n, c);
  auto after = (y.bytes() + 63) / 64 * 64;
  const TensorView qkv = y.overlay(compute_, {n, 3 * c}, after);
  {
    ProfileZone zone(ctx.profiler, "vae.norm");
    channel_norm({x, b.gamma[0], false, y}, ctx);
  }
  {
    ProfileZone zone(ctx.profiler, "vae.linear", 6 * double(n) * width * width);
    b.linear[0]->run(y, qkv, ctx);
  }
  {
    ProfileZone zone(ctx.profiler, "vae.attention", 4 * pairs * width);
    auto heads = [&](const TensorView& v, int64_t first) {  // columns [first, first + c) as [1, 1, n, c]
      TensorView part = v.overlay(compute_, {1, 1, n, c}, size_t(first) * dtype_size(compute_));
      part.strides[0] = part.strides[1] = n * v.stride(0);
      part.strides[2] = v.stride(0);
      return part;
    };
    AttentionProblem problem{.head_dim = c, .dtype = compute_};
    attention_forward(*attention_, problem, {heads(qkv, 0), heads(qkv, c), heads(qkv, 2 * c), heads(y, 0), {}}, workspace_.data(), ctx);
  }
  const TensorView projected = qkv.overlay(compute_, {n, c});
  {
    ProfileZone zone(ctx.profiler, "vae.linear", 2 * double(n) * width * width);
    b.linear[1]->run(y, projected, ctx);
  }
  ProfileZone zone(ctx.profiler, "vae.add");
  elementwise({Elementwise::add, x, projected, x}, ctx);
}

Status VaeNetwork::upsample_time(size_t index, size_t at, const Emit& emit, const ExecContext& ctx) {
  VaeBlock& b = blocks_[index];
  FrameHistory& past = b.history[0];
  void* newest = pool_.take(past.size);
  {
    ProfileZone zone(ctx.profiler, "vae.copy");
    elementwise({Elementwise::copy, view(at, b.h * b.w, b.layer.in), {}, frame(past.size, newest)}, ctx);
  }
  const void* window[] = {past.frames[0], past.frames[1], newest};
  for (size_t odd = 0; odd < 2; ++odd) {
    convolve(*b.conv[1 + odd], window, slots_[at].data(), b.h, b.w, ctx);
    const void* half[] = {slots_[at].data()};
    convolve(*b.conv[0], half, slots_[1 - at].data(), b.h, b.w, ctx);
    ZT_RETURN_IF_ERROR(run(index + 1, 1 - at, emit, ctx));
  }
  advance(past, newest);
  return {};
}

bool VaeNetwork::downsample_time(VaeBlock& b, size_t& at, const ExecContext& ctx) {
  FrameHistory& past = b.history[0];
  const FrameSize& size = past.size;
  void* newest = pool_.take(size);
  {
    ProfileZone zone(ctx.profiler, "vae.copy");
    elementwise({Elementwise::copy, view(at, size.h * size.w, size.channels), {}, frame(size, newest)}, ctx);
  }
  const int64_t index = b.frames++;
  if (index > 0 && index % 2 == 0) {
    causal(*b.conv[1], past, newest, slots_[1 - at].data(), ctx);
    at = 1 - at;
    return true;
  }
  advance(past, newest);
  return index == 0;
}

Status VaeNetwork::head(VaeBlock& b, size_t at, const Emit& emit, const ExecContext& ctx) {
  const int64_t pixels = b.h * b.w;
  void* newest = pool_.take(b.history[0].size);
  {
    ProfileZone zone(ctx.profiler, "vae.norm");
    channel_norm({view(at, pixels, b.layer.in), b.gamma[0], true, frame(b.history[0].size, newest)}, ctx);
  }
  causal(*b.conv[0], b.history[0], newest, slots_[1 - at].data(), ctx);
  return emit(slots_[1 - at].view().overlay(DType::f32, {pixels, b.layer.out}));
}

void VaeNetwork::causal(const PackedConv& conv, FrameHistory& history, void* newest, void* out, const ExecContext& ctx) {
  const void* window[] = {history.frames[0], history.frames[1], newest};
  convolve(conv, window, out, history.size.h, history.size.w, ctx);
  advance(history, newest);
}

void VaeNetwork::convolve(const PackedConv& conv, std::span<const void* const> window, void* out, int64_t h, int64_t w,
                          const ExecContext& ctx) {
  const ConvDesc& d = conv.desc();
  const ConvSize size = conv_out_size(d, h, w);
  const auto live = std::count_if(window.begin(), window.end(), [](const void* f) { return f != nullptr; });
  ProfileZone zone(ctx.profiler, "vae.conv",
                   2.0 * double(size.h * size.w) * double(d.in * d.out) * double(d.kh * d.kw) * double(live));
  conv.run(window, {&out, 1}, h, w, workspace_.data(), ctx);
}

void VaeNetwork::advance(FrameHistory& history, void* newest) {
  pool_.give(history.size, history.frames[0]);
  history.frames = {history.frames[1], newest};
}

}  // namespace zt
