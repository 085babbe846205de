#include "model/vae/clip_plan.h"

#include <algorithm>

namespace zt {
namespace {

constexpr size_t kLine = 64;

size_t lines(int64_t elements, DType t) { return (size_t(elements) * dtype_size(t) + kLine - 1) / kLine * kLine; }

class Planner {
 public:
  explicit Planner(DType compute) : compute_(compute) {}

  void add(const VaeLayer& l) {
    plan_.layers.push_back({h_, w_, l.in});
    switch (l.kind) {
      case VaeLayerKind::conv_in:
        keep(l.in);
        scratch(l.out);
        break;
      case VaeLayerKind::res:
        keep(l.in), keep(l.out);
        scratch(l.in), scratch(l.out);
        break;
      case VaeLayerKind::attention:
        plan_.attention = h_ * w_;
        // The other slot holds q, k and v, and the normalised input, later the result of the attention.
        grow(lines(h_ * w_ * l.in, compute_) + lines(h_ * w_ * 3 * l.in, compute_));
        break;
      case VaeLayerKind::up3d: keep(l.in); [[fallthrough]];
      case VaeLayerKind::up2d:
        h_ *= 2, w_ *= 2;
        scratch(l.out);
        break;
      case VaeLayerKind::down2d:
      case VaeLayerKind::down3d:
        h_ /= 2, w_ /= 2;
        scratch(l.out);
        if (l.kind == VaeLayerKind::down3d) keep(l.out);
        break;
      case VaeLayerKind::head:
        keep(l.in);
        grow(lines(h_ * w_ * l.out, DType::f32));
        break;
    }
  }

  void start(int64_t h, int64_t w) { h_ = h, w_ = w; }
  ClipPlan take() { return std::move(plan_); }

 private:
  void keep(int64_t channels) {
    FrameSize size{h_, w_, channels};
    auto it = std::find_if(plan_.kept.begin(), plan_.kept.end(), [&](const auto& k) { return k.size == size; });
    if (it == plan_.kept.end()) it = plan_.kept.insert(it, {size, lines(h_ * w_ * channels, compute_), 0});
    it->count += 2;
  }
  void scratch(int64_t channels) { grow(lines(h_ * w_ * channels, compute_)); }
  void grow(size_t bytes) { plan_.slot = std::max(plan_.slot, bytes); }

  DType compute_;
  int64_t h_ = 0, w_ = 0;
  ClipPlan plan_;
};

}  // namespace

size_t ClipPlan::cache_bytes() const {
  size_t sum = 0;
  for (const Kept& k : kept) sum += k.bytes * size_t(k.count);
  return sum;
}

size_t ClipPlan::pool_bytes() const {
  size_t sum = 0;
  for (const Kept& k : kept) sum += Arena::block_bytes(k.bytes * size_t(k.count + 1));
  return sum;
}

ClipPlan plan_clip(std::span<const VaeLayer> layers, int64_t h, int64_t w, DType compute) {
  Planner p(compute);
  p.start(h, w);
  for (const VaeLayer& l : layers) p.add(l);
  return p.take();
}

Status FramePool::allocate(const ClipPlan& plan, Arena& arena) {
  clear();
  shelves_.reserve(plan.kept.size());
  for (const ClipPlan::Kept& k : plan.kept) {
    ZT_ASSIGN_OR_RETURN(Tensor memory, arena.make(DType::u8, {k.count + 1, int64_t(k.bytes)}));
    shelves_.push_back({k, std::move(memory), {}});
    shelves_.back().free.reserve(size_t(k.count) + 1);
  }
  reset();
  return {};
}

void FramePool::clear() { shelves_.clear(); }

void FramePool::reset() {
  for (Shelf& s : shelves_) {
    s.free.clear();
    for (int i = s.kept.count; i >= 0; --i) s.free.push_back(s.memory.as<uint8_t>() + size_t(i) * s.kept.bytes);
  }
}

FramePool::Shelf& FramePool::shelf(const FrameSize& size) {
  for (Shelf& s : shelves_) {
    if (s.kept.size == size) return s;
  }
  throw Bug("the clip's plan has no frames of this size");
}

void* FramePool::take(const FrameSize& size) {
  Shelf& s = shelf(size);
  ZT_CHECK(!s.free.empty());
  void* frame = s.free.back();
  s.free.pop_back();
  return frame;
}

void FramePool::give(const FrameSize& size, void* frame) {
  if (frame) shelf(size).free.push_back(frame);
}

}  // namespace zt
