// Sums of rows that lie apart, four floats a vector: what pooling spends its time on.
#pragma once

#include <cstring>

#include "kernels/core/dtype.h"

namespace zt {

using Floats4 = float __attribute__((vector_size(16)));
using Words4 = uint32_t __attribute__((vector_size(16)));
constexpr int kRowsAtOnce = 8;  // their sum is made in registers before it goes to memory

template <class Vec>
Vec load_vec(const void* p) {
  Vec v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}

inline void add_to(float* sum, Floats4 v) {
  v += load_vec<Floats4>(sum);
  std::memcpy(sum, &v, sizeof(v));
}

// sum[c] += rows[0][c] + ... over kRows rows of d elements.
template <int kRows>
void add_rows(const float* const* rows, int64_t d, float* sum) {
  int64_t c = 0;
  for (; c + 4 <= d; c += 4) {
    Floats4 s = load_vec<Floats4>(rows[0] + c);
    for (int r = 1; r < kRows; ++r) s += load_vec<Floats4>(rows[r] + c);
    add_to(sum + c, s);
  }
  for (; c < d; ++c) {
    for (int r = 0; r < kRows; ++r) sum[c] += rows[r][c];
  }
}

// A dword holds two neighbours: the lower becomes a float by a shift, the upper by a mask.
template <int kRows>
void add_rows(const bf16* const* rows, int64_t d, float* sum) {
  auto floats = [](Words4 w) { return load_vec<Floats4>(&w); };
  int64_t c = 0;
  for (; c + 8 <= d; c += 8) {
    Floats4 even{}, odd{};
    for (int r = 0; r < kRows; ++r) {
      Words4 w = load_vec<Words4>(rows[r] + c);
      even += floats(w << 16), odd += floats(w & 0xffff0000u);
    }
    add_to(sum + c, __builtin_shuffle(even, odd, Words4{0, 4, 1, 5}));
    add_to(sum + c + 4, __builtin_shuffle(even, odd, Words4{2, 6, 3, 7}));
  }
  for (; c < d; ++c) {
    for (int r = 0; r < kRows; ++r) sum[c] += float(rows[r][c]);
  }
}

}  // namespace zt
