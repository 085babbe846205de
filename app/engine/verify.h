// Whether a clip is what its settings make: rendered again, and the pictures compared.
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

struct ClipDifference {
  int64_t frames = 0;
  bool equal = true;   // every pixel of every frame
  double psnr = 0;     // of all frames together; of equal clips infinite
  double worst = 0;    // of the worst frame
};
// kInvalid when sizes or lengths differ.
Result<ClipDifference> compare_pictures(const std::string& a, const std::string& b);

// What is known to differ between the clip's origin and a render here, as lines.
std::vector<std::string> differences(const ClipStory& story, const Origin& here);

// From here on two clips look the same to most people.
inline constexpr double kClosePsnr = 30;

}  // namespace zt
