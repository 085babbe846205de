// The vector bodies of the small ops, one table an instruction set. Each works on rows [begin, end) of its op; the loops
// over threads are in small_ops.cpp.
#pragma once

#include "kernels/api/ops.h"

namespace zt {

struct SmallKernels {
  void (*norm)(const NormArgs& a, int64_t begin, int64_t end);
  void (*qk_norm_rope)(const QkNormRopeArgs& a, int64_t begin, int64_t end);
  void (*channel_norm)(const ChannelNormArgs& a, int64_t begin, int64_t end);
  void (*elementwise)(const ElementwiseArgs& a, int64_t begin, int64_t end);
  void (*affine_sum)(const AffineSumArgs& a, int64_t begin, int64_t end);
  // Queries [begin, end) of one head; scratch holds bias_attention_scratch(n, d) floats, 64-byte aligned.
  void (*bias_attention)(const BiasAttentionArgs& a, int64_t head, int64_t begin, int64_t end, float* scratch);
};

const SmallKernels& small_kernels_avx2();
const SmallKernels& small_kernels_avx512();

// Rows of k transposed, rows of v and four rows of logits, each padded to the widest vector.
inline int64_t bias_attention_scratch(int64_t n, int64_t d) {
  int64_t padded_n = (n + 15) / 16 * 16, padded_d = (d + 15) / 16 * 16;
  return padded_n * d + n * padded_d + 4 * padded_n;
}

}  // namespace zt
