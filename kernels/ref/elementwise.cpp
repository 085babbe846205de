#include <algorithm>

#include "kernels/ref/ref_math.h"
#include "kernels/ref/ref_ops.h"

namespace zt {

void ref_elementwise(const ElementwiseArgs& a, const ExecContext&) {
  for (int64_t r = 0; r < a.a.dim(0); ++r) {
    for (int64_t c = 0; c < a.a.dim(1); ++c) {
      double v = element(a.a, r, c);
      switch (a.op) {
        case Elementwise::copy: break;
        case Elementwise::add: v += element(a.b, r, c); break;
        case Elementwise::mul: v *= element(a.b, r, c); break;
        case Elementwise::silu: v = silu(v); break;
        case Elementwise::relu: v = std::max(v, 0.0); break;
        case Elementwise::gelu_tanh: v = gelu_tanh(v); break;
      }
      set_element(a.out, r, c, v);
    }
  }
}

}  // namespace zt
