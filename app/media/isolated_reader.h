// A clip from anywhere, decoded in a child process with limits on memory, time and files: what a damaged or hostile file does to
// the decoder, it does to the child.
#pragma once

#include "app/media/clip_reader.h"

namespace zt {

struct ReaderLimits {
  uint64_t memory_bytes = uint64_t(2) << 30;  // beyond what the process has mapped already
  uint64_t cpu_seconds = 120;
  int64_t frames = 10001;
};

// As ClipReader::open. Errors of the child's end are kInvalid as the file's own are.
Result<std::unique_ptr<ClipReader>> open_isolated(const std::string& path, const ReaderLimits& limits = {});

}  // namespace zt
