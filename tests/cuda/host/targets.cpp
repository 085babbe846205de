#include "tests/cuda/host/targets.h"

namespace zt::testing {

using namespace cuda_attention;

std::vector<CudaTarget> cuda_targets(bool all_in_full) {
  std::vector<CudaTarget> targets = {
      {"small64_bf16", kSmall64, 64, DType::bf16},    {"small64_f16", kSmall64, 64, DType::f16},    {"tall64_bf16", kTall64, 64, DType::bf16},
      {"tall64_f16", kTall64, 64, DType::f16},        {"wide64_bf16", kWide64, 64, DType::bf16},    {"wide64_f16", kWide64, 64, DType::f16},
      {"small128_bf16", kSmall128, 128, DType::bf16}, {"small128_f16", kSmall128, 128, DType::f16}, {"tall128_bf16", kTall128, 128, DType::bf16},
      {"tall128_f16", kTall128, 128, DType::f16},     {"wide128_bf16", kWide128, 128, DType::bf16}, {"wide128_f16", kWide128, 128, DType::f16}};
  FullSweep full = full_sweep();
  for (CudaTarget& t : targets) {
    if (all_in_full || &t == targets.data()) t.full = true, t.longest = full.longest, t.plans = full.plans;
  }
  return targets;
}

}  // namespace zt::testing
