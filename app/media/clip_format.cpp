#include "app/media/clip_format.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavutil/pixdesc.h>
}

#include <algorithm>
#include <filesystem>
#include <optional>

#include "app/media/output_file.h"

namespace zt {
namespace {

struct CodecRow {
  std::string name, encoder;
  std::vector<std::string> extensions;
  std::vector<std::string> pix_fmts;  // default first
  int crf = -1, crf_max = -1;         // default and limit; -1 = no such knob
};

const std::vector<CodecRow>& codecs() {
  static const std::vector<CodecRow> rows = {
      {"h264", "libx264", {"mp4", "m4v", "mov", "mkv"}, {"yuv420p", "yuv422p", "yuv444p", "yuv420p10le"}, 18, 51},
      {"h265", "libx265", {"mp4", "m4v", "mov", "mkv"}, {"yuv420p", "yuv422p", "yuv444p", "yuv420p10le"}, 20, 51},
      {"av1", "libaom-av1", {"mp4", "mkv", "webm"}, {"yuv420p", "yuv444p", "yuv420p10le"}, 28, 63},
      {"vp9", "libvpx-vp9", {"webm", "mkv", "mp4"}, {"yuv420p", "yuv444p"}, 28, 63},
      {"prores", "prores_ks", {"mov", "mkv"}, {"yuv422p10le", "yuv444p10le"}, -1, -1},
      {"ffv1", "ffv1", {"mkv", "avi"}, {"bgr0", "yuv444p", "yuv420p", "yuv444p10le"}, -1, -1},
      {"png", "png", {"png"}, {"rgb24"}, -1, -1},
      {"gif", "gif", {"gif"}, {"pal8"}, -1, -1},
  };
  return rows;
}

// FFmpeg's muxer for an extension we write.
std::string muxer_of(const std::string& extension) {
  if (extension == "mkv") return "matroska";
  if (extension == "m4v") return "mp4";
  return extension;
}

// The codec of an extension when none is named: H.264 wherever it can go.
const CodecRow* codec_of_extension(const std::string& extension) {
  for (const CodecRow& c : codecs()) {
    if (std::find(c.extensions.begin(), c.extensions.end(), extension) != c.extensions.end()) return &c;
  }
  return nullptr;
}

const CodecRow* codec_named(std::string name) {
  if (name == "hevc" || name == "x265" || name == "libx265") name = "h265";
  if (name == "x264" || name == "libx264" || name == "avc") name = "h264";
  for (const CodecRow& c : codecs()) {
    if (c.name == name) return &c;
  }
  return nullptr;
}

std::string join(const std::vector<std::string>& list, std::string_view before = "") {
  std::string out;
  for (const std::string& s : list) out += (out.empty() ? "" : ", ") + std::string(before) + s;
  return out;
}

std::string extension_of(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  size_t dot = name.rfind('.');
  std::string ext = dot == std::string::npos || dot == 0 ? std::string() : name.substr(dot + 1);
  std::transform(ext.begin(), ext.end(), ext.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  return ext;
}

struct Placeholder {
  size_t begin = 0, end = 0;
  int digits = 0;
};

// %d or %0Nd with N up to 9; nothing else may follow a percent sign.
std::optional<Placeholder> placeholder(const std::string& name) {
  size_t at = name.find('%');
  if (at == std::string::npos || name.find('%', at + 1) != std::string::npos) return std::nullopt;
  if (name.compare(at, 2, "%d") == 0) return Placeholder{at, at + 2, 1};
  bool padded = name.size() >= at + 4 && name[at + 1] == '0' && name[at + 2] >= '1' && name[at + 2] <= '9' && name[at + 3] == 'd';
  if (!padded) return std::nullopt;
  return Placeholder{at, at + 4, name[at + 2] - '0'};
}

}  // namespace

std::vector<std::string> codec_names() {
  std::vector<std::string> names;
  for (const CodecRow& c : codecs()) names.push_back(c.name);
  return names;
}

bool names_folder(const std::string& output) {
  std::error_code error;
  return output.ends_with('/') || std::filesystem::is_directory(output, error);
}

std::string frames_of(const std::string& clip) { return names_folder(clip) ? without_slash(clip) + "/%04d.png" : clip; }

std::string frame_name(const std::string& pattern, int64_t number) {
  auto p = placeholder(pattern);
  if (!p) return pattern;
  return pattern.substr(0, p->begin) + fmt::format("{:0{}d}", number, p->digits) + pattern.substr(p->end);
}

std::string existing_output(const std::string& output) {
  std::error_code error;
  std::string place = without_slash(output);
  if (names_folder(output)) return std::filesystem::exists(place, error) && !std::filesystem::is_empty(place, error) ? place : "";
  std::string first = output.find('%') == std::string::npos ? output : frame_name(output, 1);
  return std::filesystem::exists(first, error) ? first : "";
}

std::string side_file_of(const std::string& output) {
  if (names_folder(output)) return without_slash(output) + ".json";
  std::string stem = stem_of(output), folder = output.substr(0, output.rfind('/') + 1);
  if (auto p = placeholder(stem)) {
    stem = stem.substr(0, p->begin) + stem.substr(p->end);
    while (!stem.empty() && std::string_view("_-.").find(stem.back()) != std::string_view::npos) stem.pop_back();
    if (stem.empty()) stem = "frames";
  }
  return folder + stem + ".json";
}

Result<ClipFormat> choose_clip_format(const std::string& output, const std::string& codec, int64_t crf,
                                      const std::string& pix_fmt) {
  const CodecRow* row = codec == "auto" ? nullptr : codec_named(codec);
  if (codec != "auto" && !row) return invalid("codec: `{}` is unknown; known are {}", codec.substr(0, 40), join(codec_names()));

  ClipFormat f;
  if (names_folder(output)) {
    if (row && row->name != "png") return invalid("output: {} is a folder, which takes codec png, not {}", output, row->name);
    row = codec_named("png");
    f.target = ClipFormat::Target::image_pattern;
  } else {
    std::string ext = extension_of(output);
    if (!row) row = codec_of_extension(ext);
    if (!row)
      return invalid("output: {}: cannot tell the kind of clip from `.{}`; use .mp4, .mkv, .mov, .webm, .gif or .png", output,
                     ext);
    if (std::find(row->extensions.begin(), row->extensions.end(), ext) == row->extensions.end()) {
      return invalid("output: codec {} does not go into `.{}`; use {}", row->name, ext, join(row->extensions, "."));
    }
    bool percent = output.find('%') != std::string::npos;
    if (row->name == "png") {
      if (percent && !placeholder(output)) return invalid("output: {}: one %d or %03d is wanted for the frame number", output);
      f.target = percent ? ClipFormat::Target::image_pattern : ClipFormat::Target::image;
    } else {
      f.container = muxer_of(ext);
    }
  }
  f.codec = row->name, f.encoder = row->encoder;
  if (!avcodec_find_encoder_by_name(f.encoder.c_str())) {
    return invalid("codec: {} needs FFmpeg's {}, which this machine's FFmpeg lacks", f.codec, f.encoder);
  }
  if (crf >= 0 && row->crf < 0) return invalid("crf: codec {} has no such setting", f.codec);
  if (crf > row->crf_max && row->crf >= 0) return invalid("crf: {} is outside 0..{} of codec {}", crf, row->crf_max, f.codec);
  f.crf = crf >= 0 ? int(crf) : row->crf;
  f.pix_fmt = pix_fmt == "auto" ? row->pix_fmts.front() : pix_fmt;
  if (std::find(row->pix_fmts.begin(), row->pix_fmts.end(), f.pix_fmt) == row->pix_fmts.end()) {
    return invalid("pix_fmt: codec {} takes {}, not `{}`", f.codec, join(row->pix_fmts), pix_fmt.substr(0, 40));
  }
  return f;
}

}  // namespace zt
