// Values between the host and the device of ctx.arena. Where that is the host itself, a copy of memory or nothing at all.
#pragma once

#include "kernels/api/exec_context.h"

namespace zt {

inline Arena& host_arena(const ExecContext& ctx) { return ctx.host ? *ctx.host : *ctx.arena; }

// Copies between dense views of one type and count; `from` and `to` may be on either side. Copies that end on the host wait
// for the work before them.
Status copy_values(const TensorView& from, const TensorView& to, const ExecContext& ctx);

// A tensor of ctx.arena with the values of `from` (host, dense, float type) as `type`: f32 or bf16.
Result<Tensor> to_device(const TensorView& from, DType type, const Shape& shape, const ExecContext& ctx);

// The elements of a view of any strides where the host can read them: the view itself, or a copy.
struct HostCopy {
  Tensor memory;
  TensorView view;
};
Result<HostCopy> to_host(const TensorView& v, const ExecContext& ctx);

// Where the host writes what `to` (dense) is to hold: `to` itself in host memory, else a buffer that finish() copies there.
class HostWrite {
 public:
  static Result<HostWrite> make(const TensorView& to, const ExecContext& ctx);
  const TensorView& view() const { return view_; }
  Status finish(const ExecContext& ctx) const { return staged_ ? copy_values(staged_, to_, ctx) : Status(); }

 private:
  TensorView to_, view_;
  Tensor staged_;
};

// All queued work is done, and went well.
Status wait_for_device(const ExecContext& ctx);

}  // namespace zt
