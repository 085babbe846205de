// One GPU: its memory, its queue, and the matrix product of its maths library. Ops find it behind ctx.arena. No CUDA header is
// needed to include this; open_device is the part that has them, host execution (tests/support/cuda_host) has a twin.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "kernels/api/exec_context.h"
#include "kernels/api/linear.h"
#include "kernels/core/copy_queue.h"

namespace zt::cuda {

struct DeviceInfo {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  int driver = 0, runtime = 0;  // 13000 is 13.0
  int processors = 0, clock_khz = 0;
  size_t total = 0, free = 0, shared_a_block = 0;  // bytes
};

// y = act(x w^T + bias), or y += x w^T + bias. Sums in f32.
struct Gemm {
  int64_t m = 0, n = 0, k = 0;
  const void* x = nullptr;  // [m, k] of `in`, rows ldx elements apart
  const void* w = nullptr;  // [n, k] of `in`, rows ldw elements apart
  const void* bias = nullptr;  // [n] of `out`, or null
  void* y = nullptr;        // [m, n] of `out`, rows ldy elements apart
  int64_t ldx = 0, ldw = 0, ldy = 0;
  DType in = DType::f32, out = DType::f32;  // f32 or bf16
  Activation act = Activation::none;        // none or gelu_tanh
  bool accumulate = false;                  // act is then none
};

// Dense attention by the maths library, bf16 [B, H, N, D] with the last axis contiguous; lse f32 [B, H, Nq] dense or null.
struct DenseAttention {
  struct Matrices {
    void* data = nullptr;
    int64_t batch = 0, head = 0, row = 0;  // strides in elements
  };
  Matrices q, k, v, out;
  float* lse = nullptr;
  int64_t batch = 1, heads = 1, nq = 0, nk = 0, d = 0;
  float scale = 1;
};

class Device : public Memory {
 public:
  zt::Device device() const final { return zt::Device::cuda; }
  virtual DeviceInfo info() const = 0;
  virtual int arch() const = 0;  // 90 is compute capability 9.0
  virtual void* stream() const = 0;  // hw::Stream
  CopyQueue* copies() override = 0;
  // False when the library has no way for these types, shapes and alignments; nothing is queued then.
  virtual bool gemm(const Gemm& g) = 0;
  // Why dense_attention cannot be used here; empty = it can.
  virtual std::string why_no_dense_attention() = 0;
  virtual void dense_attention(const DenseAttention& a) = 0;
  // Keeps the first error of anything queued, 0 = none; the next call that waits reports it.
  virtual void note(int error, std::string_view what) = 0;  // error: a cudaError_t
  // That error, without waiting.
  virtual Status state() = 0;

  // What an executor (the key) keeps on the device between calls. Whoever implements a device clears it before its memory goes.
  struct Kept {
    virtual ~Kept() = default;
  };
  std::map<const void*, std::unique_ptr<Kept>> kept;
};

inline Device& device_of(const ExecContext& ctx) {
  ZT_CHECK(ctx.arena->device() == zt::Device::cuda);
  return static_cast<Device&>(*ctx.arena->memory());
}

// The largest card that can be used, or why there is none, in one line. kInvalid: there is no driver or no card. kFailed: what
// could be put right, a driver or a card that is too old (below compute capability 8.0), no cuBLAS.
Result<std::unique_ptr<Device>> open_device();

}  // namespace zt::cuda
