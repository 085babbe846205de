// Pinned host memory through which values go to the device without waiting for it: two halves in turns, each free again when the
// copies from it are done.
#pragma once

#include <cuda_runtime_api.h>

#include <array>
#include <cstring>

namespace zt::cuda {

class Staging {
 public:
  Staging() = default;
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  ~Staging() {
    for (Half& h : halves_) {
      if (h.done) cudaEventDestroy(h.done);
    }
    if (memory_) cudaFreeHost(memory_);
  }

  cudaError_t upload(void* to, const void* from, size_t bytes, cudaStream_t stream) {
    if (!memory_) {
      if (cudaError_t e = make(); e != cudaSuccess) return e;
    }
    const auto* source = static_cast<const unsigned char*>(from);
    auto* target = static_cast<unsigned char*>(to);
    while (bytes > 0) {
      if (used_ == kHalf) {
        if (cudaError_t e = turn(stream); e != cudaSuccess) return e;
      }
      const size_t part = bytes < kHalf - used_ ? bytes : kHalf - used_;
      unsigned char* at = memory_ + size_t(now_) * kHalf + used_;
      std::memcpy(at, source, part);
      if (cudaError_t e = cudaMemcpyAsync(target, at, part, cudaMemcpyHostToDevice, stream); e != cudaSuccess) return e;
      source += part, target += part, bytes -= part;
      used_ += (part + 255) / 256 * 256;
      if (used_ > kHalf) used_ = kHalf;
    }
    return cudaSuccess;
  }

 private:
  static constexpr size_t kHalf = size_t(16) << 20;
  struct Half {
    cudaEvent_t done = nullptr;
  };

  cudaError_t make() {
    for (Half& h : halves_) {
      if (cudaError_t e = cudaEventCreateWithFlags(&h.done, cudaEventDisableTiming); e != cudaSuccess) return e;
    }
    void* p = nullptr;
    cudaError_t e = cudaHostAlloc(&p, 2 * kHalf, cudaHostAllocDefault);
    memory_ = static_cast<unsigned char*>(p);
    return e;
  }
  cudaError_t turn(cudaStream_t stream) {
    if (cudaError_t e = cudaEventRecord(halves_[size_t(now_)].done, stream); e != cudaSuccess) return e;
    now_ = 1 - now_, used_ = 0;
    return cudaEventSynchronize(halves_[size_t(now_)].done);  // one that was never recorded is done
  }

  std::array<Half, 2> halves_;
  unsigned char* memory_ = nullptr;
  size_t used_ = 0;
  int now_ = 0;
};

}  // namespace zt::cuda
