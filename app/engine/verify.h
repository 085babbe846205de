// What a clip says of its making, for whoever renders it again to see whether it comes out the same.
#pragma once

#include <string>
#include <vector>

#include "app/session/job_text.h"
#include "kernels/core/status.h"

namespace zt {

// What a clip says about itself, in its container or its side file. kInvalid when it says nothing.
struct ClipStory {
  JobSpec spec;
  Origin origin;
  bool hash_fits = true;  // the stored hash is that of the stored settings
};
Result<ClipStory> read_story(const std::string& clip);

// What is known to differ between the clip's origin and a render here, as lines.
std::vector<std::string> differences(const ClipStory& story, const Origin& here);

// From here on two clips look the same to most people.
inline constexpr double kClosePsnr = 30;

}  // namespace zt
