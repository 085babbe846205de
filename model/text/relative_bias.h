// Relative position buckets of T5 (transformers modeling_umt5.py, _relative_position_bucket, bidirectional).
#pragma once

#include <cstdint>
#include <vector>

namespace zt {

// Bucket for delta = key position - query position. Computed in float as the reference does: the boundaries are where
// float rounding puts them.
int64_t relative_bucket(int64_t delta, int64_t buckets, int64_t max_distance);

// Buckets of all deltas -(n - 1) .. n - 1; entry delta + n - 1.
std::vector<int64_t> relative_buckets(int64_t n, int64_t buckets, int64_t max_distance);

}  // namespace zt
