#include "model/vae/leaving_frames.h"

#include "kernels/api/ops.h"
#include "kernels/api/transfer.h"

namespace zt {

Status LeavingFrames::begin(const Shape& frame, const ExecContext& ctx) {
  Memory* memory = ctx.arena->memory();
  const Shape two = {2, frame[0], frame[1]};
  made_ = given_ = 0;
  if (!memory || (queue_ && device_.shape() == two)) return {};
  end();
  ZT_ASSIGN_OR_RETURN(device_, ctx.arena->make(DType::f32, two));
  ZT_ASSIGN_OR_RETURN(host_, host_arena(ctx).make(DType::f32, two));
  queue_ = memory->copies();
  pinned_ = queue_->pin(host_.data(), host_.view().bytes());
  return {};
}

Status LeavingFrames::push(const TensorView& made, const Give& give, const ExecContext& ctx) {
  if (!queue_) return give(made);
  // The frame before has left when the device has begun with this one, which keeps it busy while the host is.
  if (made_ > given_) ZT_RETURN_IF_ERROR(queue_->wait());
  const TensorView here = place(device_, made_), there = place(host_, made_);
  elementwise({Elementwise::copy, made, {}, here}, ctx);
  queue_->join();
  queue_->download(there.data, here.data, there.bytes());
  if (++made_ - given_ < 2) return {};
  return give(place(host_, given_++));
}

Status LeavingFrames::finish(const Give& give) {
  if (made_ == given_) return {};
  ZT_RETURN_IF_ERROR(queue_->wait());
  return give(place(host_, given_++));
}

void LeavingFrames::end() {
  if (queue_) (void)queue_->wait();  // a copy may be on its way to memory that goes now; its error is kept
  if (pinned_) queue_->unpin(host_.data());
  queue_ = nullptr, pinned_ = false;
  device_ = {}, host_ = {};
}

size_t LeavingFrames::bytes(const Shape& frame, const ExecContext& ctx) {
  return ctx.arena->memory() ? Arena::block_bytes(size_t(2 * frame.count()) * sizeof(float)) : 0;
}

}  // namespace zt
