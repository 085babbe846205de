// The copy queue of a card: a stream beside the device's own, and an event for each to wait for the other.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/cuda/runtime/device.h"

namespace zt::cuda {

class CudaCopyQueue final : public CopyQueue {
 public:
  explicit CudaCopyQueue(Device& device) : device_(device) {}
  CudaCopyQueue(const CudaCopyQueue&) = delete;
  CudaCopyQueue& operator=(const CudaCopyQueue&) = delete;
  ~CudaCopyQueue() override {
    if (stream_) cudaStreamSynchronize(stream_), cudaStreamDestroy(stream_);
    if (copied_) cudaEventDestroy(copied_);
    if (computed_) cudaEventDestroy(computed_);
  }

  cudaError_t open() {
    if (cudaError_t e = cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking); e != cudaSuccess) return e;
    if (cudaError_t e = cudaEventCreateWithFlags(&copied_, cudaEventDisableTiming); e != cudaSuccess) return e;
    return cudaEventCreateWithFlags(&computed_, cudaEventDisableTiming);
  }

  void upload(void* to, const void* from, size_t bytes) override {
    device_.note(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_), "copying to the GPU");
  }
  void download(void* to, const void* from, size_t bytes) override {
    device_.note(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_), "copying from the GPU");
  }
  // A wait stands for the event as it was last recorded, so two events serve for ever.
  void join() override {
    auto compute = static_cast<cudaStream_t>(device_.stream());
    for (cudaError_t e : {cudaEventRecord(copied_, stream_), cudaEventRecord(computed_, compute), cudaStreamWaitEvent(compute, copied_, 0),
                          cudaStreamWaitEvent(stream_, computed_, 0)}) {
      device_.note(e, "ordering copies and work");
    }
  }
  Status wait() override {
    device_.note(cudaStreamSynchronize(stream_), "the work before");
    return device_.state();
  }
  bool pin(void* p, size_t bytes) override {
    if (cudaHostRegister(p, bytes, cudaHostRegisterDefault) == cudaSuccess) return true;
    (void)cudaGetLastError();  // the refusal is the answer, not an error of later calls
    return false;
  }
  void unpin(void* p) override { device_.note(cudaHostUnregister(p), "unlocking memory"); }

 private:
  Device& device_;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t copied_ = nullptr, computed_ = nullptr;
};

}  // namespace zt::cuda
