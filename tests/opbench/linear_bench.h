#pragma once

#include "kernels/api/linear.h"

namespace zt::opbench {

struct LinearTiming {
  double seconds = 0, library_seconds = 0;  // medians of one call: ours, and oneDNN's own matmul of the same shape
  double ratio = 0;                         // library / ours, median over rounds: 1 = as fast
  double pack_seconds = 0;                  // packing the weights, primitives included
  double first_seconds = 0;                 // the first call, with its primitives made
};

// y [rows, out] in d.compute = act(x W^T + b) on ctx.threads threads, in turns with the plain product.
LinearTiming time_linear(const LinearDesc& d, int64_t rows, double budget_seconds, const ExecContext& ctx);

}  // namespace zt::opbench
