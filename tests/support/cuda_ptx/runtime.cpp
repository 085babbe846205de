// Stands in for the CUDA runtime below what nvcc makes of a .cu file: launches go to the translated kernel of the same name, on the
// host-executed device of the Session. Nothing else of the runtime is here, so nothing else can be called.
#include <cuda_runtime_api.h>
#include <cxxabi.h>

#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string_view>

#include "kernels/cuda/common/hw.cuh"
#include "tests/support/cuda_ptx/translated.h"

namespace zt::cuda_ptx {
namespace {

std::map<std::string, Translated>& translated() {
  static std::map<std::string, Translated> all;
  return all;
}

// Names of things in an unnamed namespace differ from compilation to compilation, so symbols are compared as they read in C++.
std::string readable(const char* symbol) {
  int status = 0;
  char* text = abi::__cxa_demangle(symbol, nullptr, nullptr, &status);
  std::string name = text ? text : symbol;
  std::free(text);
  return name;
}

// A kernel as the host side of a .cu file knows it.
struct Entry {
  std::string name;
  int shared_limit = 48 * 1024;  // until it asks for more
};
std::map<const void*, Entry>& entries() {
  static std::map<const void*, Entry> all;
  return all;
}

struct Configuration {
  dim3 grid, block;
  size_t shared_size;
  cudaStream_t stream;
};
Configuration next;

void launch(const Entry& e, dim3 grid, dim3 block, void** args, size_t shared_size) {
  auto at = translated().find(e.name);
  if (at == translated().end()) throw std::logic_error("not translated: " + e.name);
  const Translated& k = at->second;
  auto refuse = [&](const char* why) { throw cuda_host::Fault(cuda_host::FaultKind::launch, std::string("launch: ") + why + ": " + e.name); };
  if (shared_size > size_t(e.shared_limit)) refuse("more shared memory than the kernel has asked for");
  if (block.x > k.most_threads || block.y != 1 || block.z != 1) refuse("more threads than the kernel is compiled for");
  Param param{static_cast<const unsigned char*>(args[0]), k.param_bytes};
  hw::host::current_machine()->launch({grid.x, grid.y, grid.z}, block.x, uint32_t(shared_size), [&] { k.run(param); });
}

}  // namespace

Registered::Registered(std::initializer_list<Translated> kernels) {
  for (const Translated& k : kernels) {
    auto [at, fresh] = translated().emplace(readable(k.symbol), k);
    // A template that several files instantiate is one kernel.
    if (!fresh && at->second.symbol != std::string_view(k.symbol)) throw std::logic_error("two kernels are called " + at->first);
  }
}

}  // namespace zt::cuda_ptx

using zt::cuda_ptx::entries;
using zt::cuda_ptx::next;

// Names and forms are nvcc's (crt/host_runtime.h of the toolkit).
extern "C" {

void** __cudaRegisterFatBinary(void* binary) { return static_cast<void**>(binary); }
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
void __cudaRegisterFunction(void**, const char* host, char*, const char* name, int, uint3*, uint3*, dim3*, dim3*, int*) {
  entries()[host] = {zt::cuda_ptx::readable(name)};
}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared_size, void* stream) {
  next = {grid, block, shared_size, static_cast<cudaStream_t>(stream)};
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared_size, void* stream) {
  *grid = next.grid, *block = next.block, *shared_size = next.shared_size, *static_cast<cudaStream_t*>(stream) = next.stream;
  return cudaSuccess;
}
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* host) {
  *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void*>(host));
  return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** args, size_t shared_size, cudaStream_t) {
  zt::cuda_ptx::launch(entries().at(kernel), grid, block, args, shared_size);
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* host, cudaFuncAttribute attribute, int value) {
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaErrorInvalidValue;
  entries().at(host).shared_limit = value;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() { return cudaSuccess; }
}
