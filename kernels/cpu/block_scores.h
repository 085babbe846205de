// The small matrix product behind block_scores.
#pragma once

#include <cstdint>

namespace zt {

// out[i, j] = scale * (q[i] . k[j]) for `rows` rows of q and nk of k, all dense with rows of d floats.
void score_rows(const float* q, int64_t rows, const float* k, int64_t nk, int64_t d, float scale, float* out);

}  // namespace zt
