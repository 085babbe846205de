// x86 implementations, chosen at run time by ExecContext::isa.
#pragma once

#include "kernels/api/op_table.h"

namespace zt {

// Limits the maths library to `isa`; must run before its first use in the process (later calls are ignored by it).
void cap_library_isa(Isa isa);

void add_cpu_ops(OpTable& table);        // small ops, linear and convolution through oneDNN
void add_cpu_attention(OpTable& table);  // our own flash attention, best instruction set first
void add_cpu_probe(OpTable& table);      // the library's plain matrix product, as a yardstick

}  // namespace zt
