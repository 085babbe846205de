// Plain twins of every op: one file an op, double sums. The definition of right, and the last candidate everywhere.
#pragma once

#include "kernels/api/op_table.h"

namespace zt {

void add_ref_ops(OpTable& table);        // small ops, linear, convolution
void add_ref_attention(OpTable& table);

}  // namespace zt
