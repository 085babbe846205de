#include "tests/support/cuda_host_ops/host_device.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace zt::testing {

// Maps are written byte by byte, tensors in elements of two bytes and more; the shadow of a byte costs as much as that of two.
constexpr size_t kByteWise = 8192;

void* HostDevice::allocate(size_t bytes) {
  auto& a = session_.memory().make(bytes, cuda_host::Access::free, "tensor", bytes <= kByteWise ? 1 : 2);
  copies_.touch(a.data, bytes);  // taken in the first queue
  held += bytes, most_held = std::max(most_held, held);
  return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(a.data) + kDisplaced);
}

void HostDevice::release(void* p, size_t bytes) {
  copies_.gone(at(p, bytes), bytes);
  held -= bytes;
  session_.memory().free(at(p, bytes));
}

unsigned char* HostDevice::at(const void* p, size_t bytes) const {
  auto& memory = const_cast<cuda_host::Session&>(session_).memory();
  cuda_host::Allocation* a = memory.find(p);
  auto* data = reinterpret_cast<unsigned char*>(memory.place(p));
  ZT_CHECK(a && data + bytes <= a->data + a->bytes);
  return data;
}

unsigned char* HostDevice::used(const void* p, size_t bytes) {
  unsigned char* data = at(p, bytes);
  copies_.touch(data, bytes);
  return data;
}

Status HostDevice::fill(void* to, uint8_t value, size_t bytes) {
  std::memset(used(to, bytes), value, bytes);
  return {};
}
Status HostDevice::upload(void* to, const void* from, size_t bytes) {
  std::memcpy(used(to, bytes), from, bytes);
  return {};
}
Status HostDevice::wait() {
  if (waits_left == 0) return {Code::kDeviceLost, "the GPU failed (a fault that a test wants)"};
  if (waits_left > 0) --waits_left;
  return {};
}
Status HostDevice::download(void* to, const void* from, size_t bytes) {
  ZT_RETURN_IF_ERROR(wait());
  std::memcpy(to, used(from, bytes), bytes);
  return {};
}

void HostDevice::note(int error, std::string_view what) {
  if (error != 0) throw Bug(fmt::format("{}: error {}", what, error));
}

bool HostDevice::gemm(const cuda::Gemm& g) {
  if (!has_library || (g.in == DType::f32 && g.out == DType::bf16)) return false;
  ++products;
  if (!copies_.order.ends_with('w')) copies_.order += 'w';
  used(g.x, size_t((g.m - 1) * g.ldx + g.k) * dtype_size(g.in));
  used(g.w, size_t((g.n - 1) * g.ldw + g.k) * dtype_size(g.in));
  used(g.y, size_t((g.m - 1) * g.ldy + g.n) * dtype_size(g.out));
  std::vector<float> x(static_cast<size_t>(g.k)), w(static_cast<size_t>(g.n * g.k));
  auto row = [&](const void* p, int64_t r, int64_t ld, float* to) {
    const auto* first = static_cast<const uint8_t*>(p) + size_t(r * ld) * dtype_size(g.in);
    convert_floats(at(first, size_t(g.k) * dtype_size(g.in)), g.in, to, DType::f32, g.k);
  };
  for (int64_t n = 0; n < g.n; ++n) row(g.w, n, g.ldw, w.data() + n * g.k);
  const void* bias = g.bias ? used(g.bias, size_t(g.n) * dtype_size(g.out)) : nullptr;
  for (int64_t m = 0; m < g.m; ++m) {
    row(g.x, m, g.ldx, x.data());
    void* y = at(static_cast<uint8_t*>(g.y) + size_t(m * g.ldy) * dtype_size(g.out), size_t(g.n) * dtype_size(g.out));
    for (int64_t n = 0; n < g.n; ++n) {
      const float* v = w.data() + n * g.k;
      double sum = bias ? double(load_float(bias, g.out, n)) : 0;
      for (int64_t i = 0; i < g.k; ++i) sum += double(x[size_t(i)]) * double(v[i]);
      if (g.act == Activation::gelu_tanh) sum = 0.5 * sum * (1 + std::tanh(0.7978845608028654 * (sum + 0.044715 * sum * sum * sum)));
      if (g.accumulate) sum += double(load_float(y, g.out, n));
      store_float(y, g.out, n, float(sum));
    }
  }
  return true;
}

}  // namespace zt::testing
