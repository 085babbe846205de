#include <dnnl.hpp>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/dnnl_support.h"

namespace zt {

void cap_library_isa(Isa isa) {
  using dnnl::cpu_isa;
  // Its sse41 level is the lowest there is; refusals (too late, not built in) leave it as it was.
  cpu_isa cap = isa == Isa::amx           ? cpu_isa::all
                : isa == Isa::avx512_bf16 ? cpu_isa::avx512_core_bf16
                : isa == Isa::avx512      ? cpu_isa::avx512_core_vnni
                : isa == Isa::avx2        ? cpu_isa::avx2
                                          : cpu_isa::sse41;
  dnnl_set_max_cpu_isa(static_cast<dnnl_cpu_isa_t>(cap));
}

void add_cpu_ops(OpTable& t) {
  add_small_ops(t);
  add_select_ops(t);
  auto state = std::make_shared<DnnlState>();
  t.linear.push_back(make_dnnl_linear(state));
  t.conv.push_back(make_dnnl_conv(state));
}

}  // namespace zt
