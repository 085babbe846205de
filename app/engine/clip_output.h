// All files of a clip: opened before any work, filled while frames come, named at the end in the promised order:
// raw frames, side file, clip.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/engine/job_check.h"
#include "app/media/clip_writer.h"
#include "app/media/tensor_file.h"
#include "kernels/core/tensor.h"

namespace zt {

class ClipOutput {
 public:
  // Also removes what dead runs left in the folder.
  static Result<std::unique_ptr<ClipOutput>> open(const PreparedJob& job);
  // RGB f32 [H, W, 3] in [-1, 1]; a value that is not finite fails the job and names the frame.
  Status push(const TensorView& frame);
  int64_t frames() const { return pushed_; }
  // Waits for the encoder and gives the names; they are appended to `files`.
  Status commit(std::vector<std::string>& files);

 private:
  ClipOutput() = default;
  PreparedJob job_;
  std::unique_ptr<ClipWriter> clip_;
  std::unique_ptr<TensorFile> raw_;
  std::optional<PendingFile> side_;
  int64_t pushed_ = 0;
};

// Bytes the encoder side holds beside the model's memory: queued frames and the codec's look-ahead.
size_t clip_output_bytes(const JobSpec& spec);

}  // namespace zt
