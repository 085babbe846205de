// Inputs of the probe and what must come out, from the lane layouts and plain arithmetic.
#pragma once

#include <string>
#include <vector>

#include "kernels/cuda/common/types.h"

namespace zt::testing {

struct ProbeCase {
  std::vector<uint32_t> in;       // [kProbeIns][32]
  std::vector<hw::U4> chunks;     // [64]
  std::vector<uint32_t> want;     // [kProbeOuts][32]
  std::vector<double> tolerance;  // [kProbeOuts]: relative, 0 = equal bits
  float sum = 0;
};
// Numbers of a small matrix product that every order of summation gives exactly.
ProbeCase probe_case();

// Names of the words whose results differ, with the first lane; empty: all agree.
std::vector<std::string> probe_errors(const ProbeCase& c, const std::vector<uint32_t>& out, float sum);

}  // namespace zt::testing
