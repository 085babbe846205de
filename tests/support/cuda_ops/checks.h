// The checks behind op_checks(), by file.
#pragma once

#include "tests/support/cuda_ops/checker.h"

namespace zt::testing {

double bound_of(DType t);

void check_norm(Checker& c);
void check_qk_norm_rope(Checker& c);
void check_channel_norm(Checker& c);
void check_elementwise(Checker& c);
void check_affine_sum(Checker& c);
void check_patches(Checker& c);
void check_gather_rows(Checker& c);
void check_bias_attention(Checker& c);
void check_linear(Checker& c);
void check_conv(Checker& c);
void check_pool_blocks(Checker& c);
void check_block_scores(Checker& c);
void check_select_blocks(Checker& c);
void check_sums_of_heads(Checker& c);
void check_merge_partials(Checker& c);
void check_attention(Checker& c);

}  // namespace zt::testing
