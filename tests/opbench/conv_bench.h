#pragma once

#include "kernels/api/conv.h"

namespace zt::opbench {

struct ConvTiming {
  double seconds = 0;          // median of one call that makes `outputs` frames
  double gflops = 0;
  double matmul_gflops = 0;    // oneDNN's matmul, 2048 cubed, in turns with ours
  double matmul_share = 0;     // ours / matmul, median over rounds
  double plain_ratio = 0;      // ours / oneDNN's convolution of whole frames held in one buffer, same space; 0 = not comparable
  double pack_seconds = 0, first_seconds = 0;
};

ConvTiming time_conv(const ConvDesc& d, int64_t h, int64_t w, int outputs, double budget_seconds, const ExecContext& ctx);

}  // namespace zt::opbench
