// Which codec, container and pixel format a clip gets: the one table of what can be written.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/core/status.h"

namespace zt {

struct ClipFormat {
  enum class Target : uint8_t {
    file,          // one container file
    image,         // one PNG
    image_pattern  // a PNG per frame: a name with %03d, or a folder (then 0001.png ...)
  };
  Target target = Target::file;
  std::string codec;      // as --codec names it
  std::string encoder;    // FFmpeg's name
  std::string container;  // FFmpeg's name; empty for images
  std::string pix_fmt;
  int crf = -1;  // -1 = the codec has none
};

// Settles codec, container and pixel format from what the job asks for ("auto" = by extension). Mismatches and unknown
// names are kInvalid and list what would do.
Result<ClipFormat> choose_clip_format(const std::string& output, const std::string& codec, int64_t crf,
                                      const std::string& pix_fmt);

// True for `name/`, or a folder that exists.
bool names_folder(const std::string& output);

// What a reader opens: the pattern of the frames in a folder, anything else as it is.
std::string frames_of(const std::string& clip);

// Expands the one %d or %0Nd of a pattern.
std::string frame_name(const std::string& pattern, int64_t number);

// What already stands where a clip would go: its file, its first frame, or its folder if that is not empty. Empty: nothing.
std::string existing_output(const std::string& output);

// Where the settings of a clip go: c01.mp4 -> c01.json, shots/ -> shots.json, shots/f_%03d.png -> shots/f.json.
std::string side_file_of(const std::string& output);

std::vector<std::string> codec_names();

}  // namespace zt
