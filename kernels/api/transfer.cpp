#include "kernels/api/transfer.h"

#include <cstring>

namespace zt {

Status copy_values(const TensorView& from, const TensorView& to, const ExecContext& ctx) {
  ZT_CHECK(from.dense() && to.dense() && from.dtype == to.dtype && from.count() == to.count());
  const size_t bytes = from.bytes();
  if (bytes == 0) return {};
  if (from.device == Device::cpu && to.device == Device::cpu) {
    std::memcpy(to.data, from.data, bytes);
    return {};
  }
  Memory* memory = ctx.arena->memory();
  ZT_CHECK(memory && from.device != to.device);
  return from.device == Device::cpu ? memory->upload(to.data, from.data, bytes) : memory->download(to.data, from.data, bytes);
}

Result<Tensor> to_device(const TensorView& from, DType type, const Shape& shape, const ExecContext& ctx) {
  ZT_CHECK(from.device == Device::cpu && from.count() == shape.count());
  ZT_ASSIGN_OR_RETURN(Tensor to, ctx.arena->make(type, shape));
  ZT_ASSIGN_OR_RETURN(HostWrite w, HostWrite::make(to, ctx));
  convert_floats(from.data, from.dtype, w.view().data, type, from.count());
  ZT_RETURN_IF_ERROR(w.finish(ctx));
  return to;
}

Result<HostCopy> to_host(const TensorView& v, const ExecContext& ctx) {
  if (v.device == Device::cpu || v.count() == 0) return HostCopy{{}, v};
  int64_t span = 1;  // elements from the first to the last
  for (int i = 0; i < v.rank(); ++i) span += (v.dim(i) - 1) * v.stride(i);
  HostCopy copy;
  ZT_ASSIGN_OR_RETURN(copy.memory, host_arena(ctx).make(v.dtype, v.dense() ? v.shape : Shape{span}));
  ZT_RETURN_IF_ERROR(copy_values(v.overlay(v.dtype, copy.memory.shape()), copy.memory, ctx));
  copy.view = v;
  copy.view.data = copy.memory.data(), copy.view.device = Device::cpu;
  return copy;
}

Result<HostWrite> HostWrite::make(const TensorView& to, const ExecContext& ctx) {
  HostWrite w;
  w.to_ = w.view_ = to;
  if (to.device == Device::cpu) return w;
  ZT_ASSIGN_OR_RETURN(w.staged_, host_arena(ctx).make(to.dtype, to.shape));
  w.view_ = w.staged_;
  return w;
}

Status wait_for_device(const ExecContext& ctx) {
  Memory* memory = ctx.arena->memory();
  return memory ? memory->wait() : ok_status();
}

}  // namespace zt
