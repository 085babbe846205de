#include "tests/cuda/check/device.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace zt::check {

void must(cudaError_t e, const char* what) {
  if (e == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s (%s)\n", what, cudaGetErrorString(e), cudaGetErrorName(e));
  bool none = e == cudaErrorInsufficientDriver || e == cudaErrorNoDevice;
  std::exit(none ? 2 : 1);
}

Buffer::Buffer(size_t bytes) : bytes_(bytes) {
  // A gap of a page behind, so that an overrun of an element is seen by the sanitizer and harms nobody else's buffer.
  must(cudaMalloc(&data_, bytes + 4096), "cudaMalloc");
  must(cudaMemset(data_, 0xff, bytes + 4096), "cudaMemset");
}
Buffer::~Buffer() { cudaFree(data_); }
void Buffer::fill(int byte) { must(cudaMemset(data_, byte, bytes_), "cudaMemset"); }
void Buffer::put(const void* from, size_t bytes) { must(cudaMemcpy(data_, from, bytes, cudaMemcpyHostToDevice), "copy to the device"); }
void Buffer::fetch(void* to, size_t bytes) const { must(cudaMemcpy(to, data_, bytes, cudaMemcpyDeviceToHost), "copy from the device"); }

int device_arch() {
  int device = 0, major = 0, minor = 0;
  must(cudaGetDevice(&device), "cudaGetDevice");
  must(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "compute capability");
  must(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "compute capability");
  return major * 10 + minor;
}

double seconds_of(const std::function<void()>& call, int repeats) {
  cudaEvent_t begin, end;
  must(cudaEventCreate(&begin), "cudaEventCreate"), must(cudaEventCreate(&end), "cudaEventCreate");
  call();
  must(cudaDeviceSynchronize(), "kernel");
  float best = 1e30f;
  for (int i = 0; i < repeats; ++i) {
    must(cudaEventRecord(begin), "cudaEventRecord");
    call();
    must(cudaEventRecord(end), "cudaEventRecord");
    must(cudaEventSynchronize(end), "kernel");
    float ms = 0;
    must(cudaEventElapsedTime(&ms, begin, end), "cudaEventElapsedTime");
    best = std::min(best, ms);
  }
  cudaEventDestroy(begin), cudaEventDestroy(end);
  return best * 1e-3;
}

}  // namespace zt::check
