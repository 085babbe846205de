// cuDNN's dense attention, opened when it is first asked for: the yardstick beside our own, through the graph interface.
#pragma once

#include <cudnn.h>

#include <map>
#include <memory>
#include <vector>

#include "kernels/cuda/runtime/device.h"

namespace zt::cuda {

class Cudnn {
 public:
  // Says which library and which package when it is missing.
  static Result<std::unique_ptr<Cudnn>> open();
  ~Cudnn();
  Cudnn(const Cudnn&) = delete;
  Cudnn& operator=(const Cudnn&) = delete;

  // Makes the plan of a call, once a shape: its workspace, or why there is none (kFailed).
  Result<size_t> prepare(const DenseAttention& a);
  cudnnStatus_t run(const DenseAttention& a, void* workspace, cudaStream_t stream);

 private:
  Cudnn() = default;
  struct Calls;
  class Descriptor;
  struct Plan;
  Result<std::shared_ptr<Plan>> make(const DenseAttention& a);
  std::string reason(cudnnStatus_t s) const;

  void* library_ = nullptr;
  std::unique_ptr<Calls> calls_;
  cudnnHandle_t handle_ = nullptr;
  std::map<std::vector<int64_t>, std::shared_ptr<Plan>> plans_;
};

}  // namespace zt::cuda
