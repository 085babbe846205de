// Kernel shapes that might be better on some card: timed beside those that are shipped, not shipped themselves.
#include "kernels/cuda/attention/forward_launch.cuh"
#include "tests/cuda/check/candidates.h"

namespace zt::check {

using namespace cuda_attention;

template <int D, TileShape S>
constexpr ForwardKernel candidate() {
  return {DType::bf16, D, S, &start_forward<hw::Bf16, D, S, false, true>, nullptr};
}

const ForwardKernel kCandidates[] = {
    candidate<128, TileShape{128, 32, 4, 3, false, 2}>(), candidate<128, TileShape{128, 64, 8, 2, false, 1}>(),
    candidate<128, TileShape{128, 64, 8, 3, false, 1}>(), candidate<128, TileShape{64, 64, 4, 2, false, 2}>(),
    candidate<128, TileShape{64, 32, 4, 3, false, 3}>(),  candidate<128, TileShape{128, 32, 8, 3, true, 1}>(),
    candidate<64, TileShape{128, 64, 4, 3, false, 2}>(),  candidate<64, TileShape{128, 32, 4, 3, false, 2}>(),
    candidate<64, TileShape{128, 64, 8, 2, true, 1}>(),   candidate<64, TileShape{64, 64, 4, 2, true, 3}>(),
    candidate<64, TileShape{64, 64, 4, 3, true, 3}>(),
};
const int kCandidateCount = sizeof(kCandidates) / sizeof(kCandidates[0]);

}  // namespace zt::check
