// Which attention kernels a program sweeps, and how far: one gets the full sweep; the others are the same template, and get a part.
#pragma once

#include <ostream>
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
inline void PrintTo(const CudaTarget& t, std::ostream* out) { *out << t.name; }

// Every forward kernel that is shipped: the first in full, or all.
std::vector<CudaTarget> cuda_targets(bool all_in_full = false);

// How far a program can afford to go where it sweeps in full.
struct FullSweep {
  int longest, plans;
};
FullSweep full_sweep();

}  // namespace zt::testing
