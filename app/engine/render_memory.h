// What a render takes: the model's phases, what its attention method keeps, what watches it, the encoder.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "app/engine/job_check.h"
#include "model/pipeline/text_to_video.h"

namespace zt {

struct RenderMemory {
  MemoryEstimate model;
  size_t decode = 0;  // with the encoder
  size_t peak() const { return std::max(model.peak(), decode); }
  std::string breakdown() const;
};

struct RenderSize {
  Size size;
  int64_t frames = 1;
};

// Whether attention is measured against dense attention while the clip is made.
bool measured(const PreparedJob& job);

// Of this job at another size. With `method`, what the attention method and the hooks keep is counted too; to settle that a
// static method makes its plan.
Result<RenderMemory> render_memory(const TextToVideo& pipeline, const PreparedJob& job, const RenderSize& at, int64_t text_rows,
                                   bool method, std::span<AttentionHook* const> hooks, const ExecContext& ctx);

// For a refusal: the largest size of the same shape with all frames that `fits`, and the most frames at the size itself.
std::string largest_that_fits(const TextToVideo& pipeline, const JobSpec& spec, const std::function<bool(const RenderSize&)>& fits);

}  // namespace zt
