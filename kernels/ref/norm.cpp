#include <cmath>
#include <vector>

#include "kernels/ref/ref_ops.h"

namespace zt {
namespace {

void normalise(std::vector<double>& v, NormKind kind, double eps) {
  if (kind == NormKind::none) return;
  double n = double(v.size()), mean = 0, var = 0;
  if (kind == NormKind::layer) {
    for (double e : v) mean += e / n;
  }
  for (double e : v) var += (e - mean) * (e - mean) / n;
  for (double& e : v) e = (e - mean) / std::sqrt(var + eps);
}

}  // namespace

void ref_norm(const NormArgs& a, const ExecContext&) {
  int64_t rows = a.x.dim(0), channels = a.x.dim(1);
  std::vector<double> v(static_cast<size_t>(channels));
  for (int64_t r = 0; r < rows; ++r) {
    int64_t g = a.rows_per_group > 0 ? r / a.rows_per_group : 0;
    for (int64_t c = 0; c < channels; ++c) {
      if (a.y) set_element(a.x, r, c, element(a.x, r, c) + (a.gate ? element(a.gate, g, c) : 1) * element(a.y, r, c));
      v[size_t(c)] = element(a.x, r, c);
    }
    if (!a.out) continue;
    normalise(v, a.kind, a.eps);
    for (int64_t c = 0; c < channels; ++c) {
      double scale = a.scale ? (a.add_one ? 1 : 0) + element(a.scale, g, c) : 1;
      set_element(a.out, r, c, v[size_t(c)] * scale + (a.shift ? element(a.shift, g, c) : 0));
    }
  }
}

}  // namespace zt
