// Frames on their way from the decoder to the host. On a device a frame is copied out and handled by the host while the next one
// is computed: it is given out one later than it was made.
#pragma once

#include <functional>

#include "kernels/api/exec_context.h"
#include "kernels/core/copy_queue.h"

namespace zt {

class LeavingFrames {
 public:
  // A frame where the host can read it; valid, and free to be changed, during the call.
  using Give = std::function<Status(const TensorView& frame)>;

  LeavingFrames() = default;
  LeavingFrames(const LeavingFrames&) = delete;
  LeavingFrames& operator=(const LeavingFrames&) = delete;
  ~LeavingFrames() { end(); }

  // Frames of this shape, f32, from the first one on.
  Status begin(const Shape& frame, const ExecContext& ctx);
  // In host memory a frame passes by at once. On a device it is taken from `made`, which may then be computed over.
  Status push(const TensorView& made, const Give& give, const ExecContext& ctx);
  // The last frame, if it is still here.
  Status finish(const Give& give);
  void end();
  // Of the device.
  static size_t bytes(const Shape& frame, const ExecContext& ctx);

 private:
  TensorView place(const Tensor& t, int64_t frame) const { return t.view().select(0, frame % 2); }

  CopyQueue* queue_ = nullptr;  // null: frames are made in host memory
  Tensor device_, host_;        // two frames each
  bool pinned_ = false;
  int64_t made_ = 0, given_ = 0;
};

}  // namespace zt
