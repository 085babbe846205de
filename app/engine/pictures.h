// Clips and single pictures between files and memory, for a client that shows them.
#pragma once

#include <string>

#include "app/session/clip_frames.h"
#include "app/session/job_spec.h"
#include "kernels/core/status.h"

namespace zt {

// All frames. A clip that would take more than kClipBytes is read with its sides cut to a half, a third, ...
inline constexpr size_t kClipBytes = size_t(512) << 20;
Result<Clip> load_clip(const std::string& path);
// The first frame, small.
Result<Clip> load_thumbnail(const std::string& path);
// One frame as PNG; an existing file is replaced.
Status save_picture(const std::string& path, const ClipFrames& clip, int64_t frame);
// From a side file, the side file of a clip, or the clip's own comment.
Result<JobSpec> stored_settings(const std::string& path);

}  // namespace zt
