#include "kernels/ref/ref_ops.h"

namespace zt {

void ref_gather_rows(const GatherRowsArgs& a, const ExecContext&) {
  for (size_t r = 0; r < a.index.size(); ++r) {
    for (int64_t c = 0; c < a.out.dim(1); ++c) set_element(a.out, int64_t(r), c, element(a.table, a.index[r], c));
  }
}

}  // namespace zt
