// Attention calls on the host-executed device, beside the double-precision twin.
#pragma once

#include "kernels/cuda/attention/call.h"
#include "tests/kernels/attention_support.h"
#include "tests/support/cuda_host/session.h"

namespace zt::testing {

struct CudaRun {
  cuda_attention::TileShape shape = cuda_attention::kSmall64;
  uint64_t seed = 0;
  bool out = true;     // else only log-sum-exps, and block mass
  bool lse = true, mass = false;
  std::vector<float> mass_lse = {};
  bool askew = false;  // rows that copies of 16 bytes cannot take
  bool count_traffic = false;
};

// In token-major tensors with a gap after every token, each in an allocation of its own, as every list is.
AttentionResult host_attention(const AttentionPlan& plan, const AttentionInputs& in, const CudaRun& run,
                               std::vector<cuda_host::SiteTraffic>* traffic = nullptr);

// How much of what rounding explains was used, at most over all elements: 1 is the bound. P and the output are rounded to the
// storage type, so |error| <= eps (max|V| + 2 |O|), eps = 2^-9 or 2^-12; log-sum-exps keep f32: 2e-4.
// So do sums of block mass, relative to the tokens of the query block: 2e-4 of each sum and of a token.
// A linear part is a weighted mean of V too; roundings of both features count twice, in numerator and denominator, those of the
// matrix, the mean and the projection once: 7 eps times what the projection's widest row makes of max|V|, and the softmax part is
// rounded once more.
struct Used {
  double out = 0, lse = 0, mass = 0;
  std::string worst;
};
Used error_used(const AttentionResult& got, const AttentionResult& right, const AttentionPlan& plan, const AttentionInputs& in);

}  // namespace zt::testing
