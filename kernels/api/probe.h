// The yardstick of `zoetrope bench`: what the machine's maths library reaches on a plain matrix product, measured in the
// same process and in turns with our own kernels. Never used by a render.
#pragma once

#include <memory>

#include "kernels/api/exec_context.h"

namespace zt {

class MatmulProbe {
 public:
  virtual ~MatmulProbe() = default;
  // One product [m, k] x [k, n] with weights already in the library's favourite layout, in seconds, on the library's own threads.
  virtual double seconds() = 0;
  virtual double flops() const = 0;  // 2 m n k
};

struct MatmulShape {
  int64_t m = 2048, n = 2048, k = 2048;
  DType dtype = DType::f32;  // f32 or bf16 (f32 accumulation, bf16 result)
};

// Null when no library can multiply this type on this machine.
using MakeMatmulProbe = std::unique_ptr<MatmulProbe> (*)(const MatmulShape& shape, const ExecContext& ctx);

}  // namespace zt
