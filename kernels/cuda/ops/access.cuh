// What the small kernels share: tensors of either type as floats, sums over a warp and a block, and starting a kernel.
//
// The op headers are included once a back end: their names are local, because host execution compiles them a second time.
#pragma once

#include "kernels/cuda/common/hw.cuh"
#include "kernels/cuda/runtime/device.h"

namespace zt::cuda {
namespace {

// f32 or bf16, read and written as float. The type is the same for all threads, so asking for it at run time costs nothing
// beside the memory, and there is one instance a kernel.
struct Values {
  hw::gptr<float> f;
  hw::gptr<hw::Bf16> h;
  bool half;
};

inline Values values(const TensorView& v) {
  void* p = v.data;
  return {hw::global<float>(v.dtype == DType::f32 ? p : nullptr), hw::global<hw::Bf16>(v.dtype == DType::f32 ? nullptr : p),
          v.dtype != DType::f32};
}

ZT_DEVICE float load(const Values& v, int64_t i) { return v.half ? hw::to_float(hw::ldg(v.h + i)) : hw::ldg(v.f + i); }
ZT_DEVICE void store(const Values& v, int64_t i, float x) {
  if (v.half) {
    hw::stg(v.h + i, hw::from_float<hw::Bf16>(x));
  } else {
    hw::stg(v.f + i, x);
  }
}

ZT_DEVICE float low_half(uint32_t u) { return hw::float_of(u << 16); }
ZT_DEVICE float high_half(uint32_t u) { return hw::float_of(u & 0xffff0000u); }

// V elements from i on; V = 4 wants i and the tensor aligned to 4 elements (aligned4).
template <int V>
ZT_DEVICE void load(const Values& v, int64_t i, float (&x)[V]) {
  if constexpr (V == 4) {
    if (v.half) {
      hw::U2 u = hw::ldg(hw::as<hw::U2>(v.h + i));
      x[0] = low_half(u.x), x[1] = high_half(u.x), x[2] = low_half(u.y), x[3] = high_half(u.y);
    } else {
      hw::F4 u = hw::ldg(hw::as<hw::F4>(v.f + i));
      x[0] = u.x, x[1] = u.y, x[2] = u.z, x[3] = u.w;
    }
  } else {
    ZT_UNROLL
    for (int j = 0; j < V; ++j) x[j] = load(v, i + j);
  }
}
template <int V>
ZT_DEVICE void store(const Values& v, int64_t i, const float (&x)[V]) {
  if constexpr (V == 4) {
    if (v.half) {
      hw::stg(hw::as<hw::U2>(v.h + i), hw::U2{hw::pack<hw::Bf16>(x[0], x[1]), hw::pack<hw::Bf16>(x[2], x[3])});
    } else {
      hw::stg(hw::as<hw::F4>(v.f + i), hw::F4{x[0], x[1], x[2], x[3]});
    }
  } else {
    ZT_UNROLL
    for (int j = 0; j < V; ++j) store(v, i + j, x[j]);
  }
}

// Whether rows of this tensor can be taken four elements at a time; empty tensors can.
inline bool aligned4(const TensorView& v) {
  if (!v) return true;
  bool strides = v.dim(-1) % 4 == 0;
  for (int i = 0; i + 1 < v.rank(); ++i) strides = strides && v.stride(i) % 4 == 0;
  return strides && reinterpret_cast<uintptr_t>(v.data) % (4 * dtype_size(v.dtype)) == 0;
}

constexpr float kLog2e = 1.4426950408889634f;

ZT_DEVICE float sigmoid(float x) { return hw::div(1.f, 1.f + hw::exp2(-x * kLog2e)); }
ZT_DEVICE float silu(float x) { return hw::div(x, 1.f + hw::exp2(-x * kLog2e)); }
// The tanh form: 0.5 (1 + tanh u) is the sigmoid of 2 u.
ZT_DEVICE float gelu_tanh(float x) {
  const float u = 0.7978845608028654f * (x + 0.044715f * x * x * x);
  return x * sigmoid(2.f * u);
}

// Over `lanes` neighbouring lanes, a power of two; every lane gets the result.
template <class T>
ZT_DEVICE T sum_lanes(T v, int lanes) {
  for (int m = lanes / 2; m > 0; m /= 2) v += hw::shfl_xor(v, m);
  return v;
}
ZT_DEVICE float max_lanes(float v) {
  ZT_UNROLL
  for (int m = 16; m > 0; m /= 2) v = hw::max(v, hw::shfl_xor(v, m));
  return v;
}

// Over a block of `warps` warps; `at` holds one T a warp and may be used again after the next sync_block.
template <class T>
ZT_DEVICE T sum_block(T v, hw::saddr at, int warps) {
  v = sum_lanes(v, 32);
  hw::sync_block();
  if (hw::thread() % 32 == 0) hw::sts(at + uint32_t(hw::thread() / 32 * int(sizeof(T))), v);
  hw::sync_block();
  T total = 0;
  for (int w = 0; w < warps; ++w) total += hw::lds<T>(at + uint32_t(w * int(sizeof(T))));
  return total;
}
ZT_DEVICE float max_block(float v, hw::saddr at, int warps) {
  v = max_lanes(v);
  hw::sync_block();
  if (hw::thread() % 32 == 0) hw::sts(at + uint32_t(hw::thread() / 32 * 4), v);
  hw::sync_block();
  float most = hw::lds<float>(at);
  for (int w = 1; w < warps; ++w) most = hw::max(most, hw::lds<float>(at + uint32_t(w * 4)));
  return most;
}

// Starts K where there is work; how it went shows at the next wait.
template <class K>
void start(const ExecContext& ctx, int64_t x, int64_t y, uint32_t shared, const typename K::Params& p) {
  if (x <= 0 || y <= 0) return;
  Device& d = device_of(ctx);
  d.note(hw::launch<K>(static_cast<hw::Stream>(d.stream()), {uint32_t(x), uint32_t(y), 1}, shared, p), K::kName);
}

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Device memory for one call: its release takes its place in the queue, behind the work that reads it.
class Scratch {
 public:
  Scratch(size_t bytes, const ExecContext& ctx) : device_(device_of(ctx)), bytes_(bytes ? bytes : 1), data_(device_.allocate(bytes_)) {
    if (!data_) device_.note(2, "scratch of a call");  // 2: cudaErrorMemoryAllocation
  }
  // Holding what a vector or span does.
  template <class C>
    requires requires(const C& c) { c.data(); }
  Scratch(const C& values, const ExecContext& ctx) : Scratch(values.size() * sizeof(*values.data()), ctx) {
    if (data_ && values.size() > 0) (void)device_.upload(data_, values.data(), values.size() * sizeof(*values.data()));  // its error is kept
  }
  ~Scratch() {
    if (data_) device_.release(data_, bytes_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  void* data() const { return data_; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  Device& device_;
  size_t bytes_;
  void* data_;
};

}  // namespace
}  // namespace zt::cuda
