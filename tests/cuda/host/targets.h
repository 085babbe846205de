// Which attention kernels a program sweeps, and how far: one gets the full sweep; the others are the same template, and get a part.
#pragma once

#include <vector>

#include "kernels/core/dtype.h"
#include "kernels/cuda/attention/tiles.h"

namespace zt::testing {

struct CudaTarget {
  const char* name;
  cuda_attention::TileShape shape;
  int d;
  DType dtype;
  bool full = false;
  int longest = 300;  // of queries
  int plans = 8;      // random ones
};
std::vector<CudaTarget> cuda_targets();

}  // namespace zt::testing
