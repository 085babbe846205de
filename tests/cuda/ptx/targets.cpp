#include "tests/cuda/host/targets.h"

namespace zt::testing {

using namespace cuda_attention;

// The one swept in full sees lengths of all residues of its tiles.
std::vector<CudaTarget> cuda_targets() {
  return {{"small64_bf16", kSmall64, 64, DType::bf16, true, 130, 12},
          {"small128_bf16", kSmall128, 128, DType::bf16},
          {"wide128_bf16", kWide128, 128, DType::bf16},
          {"small64_f16", kSmall64, 64, DType::f16}};
}

}  // namespace zt::testing
