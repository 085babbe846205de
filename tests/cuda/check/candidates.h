#pragma once

#include "kernels/cuda/attention/launch.h"

namespace zt::check {

extern const cuda_attention::ForwardKernel kCandidates[];
extern const int kCandidateCount;

}  // namespace zt::check
