// cuBLASLt, opened when it is first needed: a machine without it starts.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <map>
#include <memory>
#include <tuple>

#include "kernels/cuda/runtime/device.h"

namespace zt::cuda {

class CublasLt {
 public:
  // Says which library and which package when it is missing.
  static Result<std::unique_ptr<CublasLt>> open();
  ~CublasLt();
  CublasLt(const CublasLt&) = delete;
  CublasLt& operator=(const CublasLt&) = delete;

  // CUBLAS_STATUS_NOT_SUPPORTED: the library has no way for this product, nothing is queued.
  cublasStatus_t run(const Gemm& g, void* workspace, size_t workspace_bytes, cudaStream_t stream);

 private:
  CublasLt() = default;
  struct Calls;
  struct Product;  // a product's descriptors and the way chosen for it
  using Key = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int, int, int>;
  Result<std::shared_ptr<Product>> prepare(const Gemm& g, int alignment, size_t workspace_bytes);

  void* library_ = nullptr;
  std::unique_ptr<Calls> calls_;
  cublasLtHandle_t handle_ = nullptr;
  std::map<Key, std::shared_ptr<Product>> products_;  // null: no way
};

}  // namespace zt::cuda
