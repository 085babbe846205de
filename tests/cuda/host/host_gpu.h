// Host execution as the GPU of this machine: what links this opens it where the program would look for a card.
#pragma once

#include "kernels/registry/gpu.h"
#include "tests/support/cuda_host_ops/host_device.h"

namespace zt::testing {

class HostGpu final : public Gpu {
 public:
  HostGpu();
  GpuFacts facts() const override;
  Memory& memory() override { return device; }
  const OpTable& ops() const override { return ops_; }

  HostDevice device;
  size_t total = size_t(1) << 30;

 private:
  OpTable ops_;
};

}  // namespace zt::testing
