#include "kernels/registry/gpu.h"

#ifdef ZT_WITH_CUDA
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/runtime/device.h"
#endif

namespace zt {

#ifdef ZT_WITH_CUDA
namespace {

std::string version(int v) { return fmt::format("{}.{}", v / 1000, v % 1000 / 10); }

class CudaGpu final : public Gpu {
 public:
  explicit CudaGpu(std::unique_ptr<cuda::Device> device) : device_(std::move(device)) { add_cuda_ops(ops_); }
  GpuFacts facts() const override {
    cuda::DeviceInfo i = device_->info();
    return {i.name, fmt::format("{}.{}", i.major, i.minor), version(i.driver), version(i.runtime), i.total, i.free};
  }
  Memory& memory() override { return *device_; }
  const OpTable& ops() const override { return ops_; }

 private:
  std::unique_ptr<cuda::Device> device_;
  OpTable ops_;
};

}  // namespace

Result<std::unique_ptr<Gpu>> open_gpu() {
  ZT_ASSIGN_OR_RETURN(auto device, cuda::open_device());
  return std::unique_ptr<Gpu>(std::make_unique<CudaGpu>(std::move(device)));
}
#else
Result<std::unique_ptr<Gpu>> open_gpu() { return invalid("no usable GPU: this program was built without CUDA"); }
#endif

}  // namespace zt
