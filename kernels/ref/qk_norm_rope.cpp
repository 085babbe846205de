#include <cmath>
#include <vector>

#include "kernels/ref/ref_ops.h"

namespace zt {

void ref_qk_norm_rope(const QkNormRopeArgs& a, const ExecContext&) {
  int64_t rows = a.x.dim(0), channels = a.x.dim(1), pairs = channels / a.heads / 2;
  std::vector<double> v(static_cast<size_t>(channels));
  for (int64_t r = 0; r < rows; ++r) {
    double sum = 0;
    for (int64_t c = 0; c < channels; ++c) sum += element(a.x, r, c) * element(a.x, r, c);
    double inv = 1 / std::sqrt(sum / double(channels) + a.eps);
    for (int64_t c = 0; c < channels; ++c) {
      v[size_t(c)] = element(a.x, r, c) * inv * double(load_float(a.weight.data, a.weight.dtype, c));
    }
    for (int64_t c = 0; a.cos && c < channels; c += 2) {
      int64_t i = c / 2 % pairs;
      double re = v[size_t(c)], im = v[size_t(c) + 1], cs = element(a.cos, r, i), sn = element(a.sin, r, i);
      v[size_t(c)] = re * cs - im * sn;
      v[size_t(c) + 1] = re * sn + im * cs;
    }
    for (int64_t c = 0; c < channels; ++c) set_element(a.out, r, c, v[size_t(c)]);
  }
}

}  // namespace zt
