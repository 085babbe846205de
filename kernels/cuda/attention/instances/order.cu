#include "kernels/cuda/attention/order.cuh"

#include "kernels/cuda/attention/launch.h"

namespace zt::cuda_attention {
namespace {

template <class T>
int start(const RowMove& m, void* stream) {
  constexpr int64_t kUnit = sizeof(T);
  MoveRowsParams<T> p;
  p.from = hw::global<T>(static_cast<const void*>(m.from.data)), p.to = hw::global<T>(m.to.data);
  auto units = [&](int64_t elements) { return elements * m.element_bytes / kUnit; };
  p.from_batch = units(m.from.batch), p.from_head = units(m.from.head), p.from_row = units(m.from.row);
  p.to_batch = units(m.to.batch), p.to_head = units(m.to.head), p.to_row = units(m.to.row);
  p.rows = int(m.rows), p.width = int(units(m.width));
  p.order = hw::global<int32_t>(static_cast<const void*>(m.order)), p.set_of = hw::global<int32_t>(static_cast<const void*>(m.set_of));
  p.scatter = m.scatter;
  int64_t blocks = (m.rows * p.width + MoveRows<T>::kThreads - 1) / MoveRows<T>::kThreads;
  hw::Grid grid{uint32_t(blocks < 4096 ? blocks : 4096), uint32_t(m.heads), uint32_t(m.batch)};
  return hw::launch<MoveRows<T>>(static_cast<hw::Stream>(stream), grid, 0, p);
}

}  // namespace

int move_rows(const RowMove& m, void* stream) {
  if (m.element_bytes == 4) return start<uint32_t>(m, stream);
  return m.whole_chunks ? start<hw::U4>(m, stream) : start<uint16_t>(m, stream);
}

}  // namespace zt::cuda_attention
