// The CUDA back end without a card: device memory is checked host memory, kernels run through host execution, and the products
// that a card leaves to its maths library are plain loops in double. Its addresses are none of the host's. One at a time on an
// OS thread.
#pragma once

#include "kernels/cuda/runtime/device.h"
#include "tests/support/cuda_host/session.h"
#include "tests/support/cuda_host_ops/host_copies.h"

namespace zt::testing {

class HostDevice final : public cuda::Device {
 public:
  explicit HostDevice(const cuda_host::Options& o = {}) : session_(o) { session_.memory().displaced = kDisplaced; }
  ~HostDevice() override { kept.clear(); }

  bool has_library = true;  // false: every product goes to the plain kernel
  int64_t waits_left = -1;      // then the device is lost, as after a fault of a kernel; < 0: never
  int64_t products = 0;  // done for the library
  size_t held = 0, most_held = 0;  // bytes, now and at the highest

  cuda::DeviceInfo info() const override { return {.name = "host execution", .major = 9, .processors = 1, .shared_a_block = 227 * 1024}; }
  int arch() const override { return 90; }
  void* stream() const override { return nullptr; }
  HostCopies* copies() override { return &copies_; }
  bool gemm(const cuda::Gemm& g) override;
  std::string why_no_dense_attention() override { return "host execution has no cuDNN"; }
  void dense_attention(const cuda::DenseAttention&) override { throw Bug("host execution has no cuDNN"); }
  void note(int error, std::string_view what) override;
  Status state() override { return {}; }
  void* allocate(size_t bytes) override;
  void release(void* p, size_t bytes) override;
  Status fill(void* to, uint8_t value, size_t bytes) override;
  Status upload(void* to, const void* from, size_t bytes) override;
  Status download(void* to, const void* from, size_t bytes) override;
  Status wait() override;

 private:
  static constexpr uintptr_t kDisplaced = uintptr_t(1) << 47;  // no address of a program on x86-64 has this bit
  // The bytes behind a device address, checked to be inside one allocation.
  unsigned char* at(const void* p, size_t bytes) const;
  // The same for work of the first queue.
  unsigned char* used(const void* p, size_t bytes);
  cuda_host::Session session_;
  HostCopies copies_{session_, [this](const void* p, size_t bytes) { return at(p, bytes); }, [this] { return wait(); }};
};

}  // namespace zt::testing
