// A GPU of this machine: its memory and its table of implementations.
#pragma once

#include <memory>
#include <string>

#include "kernels/api/op_table.h"
#include "kernels/core/memory.h"
#include "kernels/core/status.h"

namespace zt {

struct GpuFacts {
  std::string name, capability;   // "9.0"
  std::string driver, toolkit;    // the CUDA versions of the driver and of this program
  size_t total = 0, free = 0;     // bytes
};

class Gpu {
 public:
  virtual ~Gpu() = default;
  virtual GpuFacts facts() const = 0;
  virtual Memory& memory() = 0;
  virtual const OpTable& ops() const = 0;
};

// The largest card that can be used, or why there is none, in one line. kInvalid: there is nothing to use, the program was built
// without CUDA, or there is no driver or no card. kFailed: what could be put right, a driver that is too old, cuBLAS missing.
Result<std::unique_ptr<Gpu>> open_gpu();

}  // namespace zt
