#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/ref/ref_ops.h"

namespace zt {
namespace {

// q, k, v, out [N, D] and bias [N, N] of one head.
void one_head(const TensorView& q, const TensorView& k, const TensorView& v, const TensorView& bias, const TensorView& out,
              double scale) {
  int64_t n = q.dim(0), keys = k.dim(0), d = q.dim(1);
  std::vector<double> p(static_cast<size_t>(keys));
  for (int64_t i = 0; i < n; ++i) {
    double top = -std::numeric_limits<double>::infinity(), sum = 0;
    for (int64_t j = 0; j < keys; ++j) {
      double dot = 0;
      for (int64_t c = 0; c < d; ++c) dot += element(q, i, c) * element(k, j, c);
      p[size_t(j)] = dot * scale + element(bias, i, j);
      top = std::max(top, p[size_t(j)]);
    }
    for (double& e : p) sum += (e = std::exp(e - top));
    for (int64_t c = 0; c < d; ++c) {
      double o = 0;
      for (int64_t j = 0; j < keys; ++j) o += p[size_t(j)] * element(v, j, c);
      set_element(out, i, c, o / sum);
    }
  }
}

}  // namespace

void ref_bias_attention(const BiasAttentionArgs& a, const ExecContext&) {
  for (int64_t h = 0; h < a.q.dim(0); ++h) {
    one_head(a.q.select(0, h), a.k.select(0, h), a.v.select(0, h), a.bias.select(0, h), a.out.select(0, h), a.scale);
  }
}

}  // namespace zt
