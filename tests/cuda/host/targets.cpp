#include "tests/cuda/host/targets.h"

namespace zt::testing {

using namespace cuda_attention;

std::vector<CudaTarget> cuda_targets() {
  return {{"small64_bf16", kSmall64, 64, DType::bf16, true, 300, 80},
          {"small64_f16", kSmall64, 64, DType::f16},
          {"tall64_bf16", kTall64, 64, DType::bf16},
          {"wide64_bf16", kWide64, 64, DType::bf16},
          {"small128_bf16", kSmall128, 128, DType::bf16},
          {"tall128_bf16", kTall128, 128, DType::bf16},
          {"wide128_bf16", kWide128, 128, DType::bf16},
          {"wide128_f16", kWide128, 128, DType::f16}};
}

}  // namespace zt::testing
