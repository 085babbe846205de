#include "kernels/ref/ref_ops.h"

namespace zt {

void ref_affine_sum(const AffineSumArgs& a, const ExecContext&) {
  float* out = a.out.as<float>();
  for (int64_t i = 0; i < a.out.count(); ++i) {
    double sum = 0;
    for (size_t t = 0; t < a.in.size(); ++t) sum += a.coef[t] * double(a.in[t].as<float>()[i]);
    out[i] = float(sum);
  }
}

}  // namespace zt
