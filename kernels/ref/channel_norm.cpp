#include <algorithm>
#include <cmath>

#include "kernels/ref/ref_math.h"
#include "kernels/ref/ref_ops.h"

namespace zt {

void ref_channel_norm(const ChannelNormArgs& a, const ExecContext&) {
  int64_t rows = a.x.dim(0), channels = a.x.dim(1);
  for (int64_t r = 0; r < rows; ++r) {
    double sum = 0;
    for (int64_t c = 0; c < channels; ++c) sum += element(a.x, r, c) * element(a.x, r, c);
    double inv = std::sqrt(double(channels)) / std::max(std::sqrt(sum), 1e-12);
    if (std::isnan(sum)) inv = sum;  // std::max would drop it
    for (int64_t c = 0; c < channels; ++c) {
      double v = element(a.x, r, c) * inv * double(load_float(a.gamma.data, a.gamma.dtype, c));
      set_element(a.out, r, c, a.silu ? silu(v) : v);
    }
  }
}

}  // namespace zt
