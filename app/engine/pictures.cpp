#include "app/engine/pictures.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "app/analysis/picture.h"
#include "app/media/clip_format.h"
#include "app/media/clip_reader.h"
#include "app/session/job_text.h"

namespace zt {
namespace {

// Nothing when the clip outgrows the limit at this reduction.
Result<Clip> read_reduced(const std::string& path, int64_t reduction, int64_t most_frames) {
  ZT_ASSIGN_OR_RETURN(auto reader, ClipReader::open(path));
  const ClipInfo& info = reader->info();
  ClipFrames whole;
  whole.width = info.width, whole.height = info.height, whole.frames = 1, whole.fps = info.fps;
  whole.rgb.resize(size_t(info.width) * size_t(info.height) * 3);
  auto clip = std::make_shared<ClipFrames>();
  clip->fps = info.fps, clip->reduced = reduction;
  int64_t side = (std::max(info.width, info.height) + reduction - 1) / reduction;
  while (clip->frames < most_frames) {
    ZT_ASSIGN_OR_RETURN(bool more, reader->next(whole.rgb.data()));
    if (!more) break;
    Clip frame = shrunk_frame(whole, 0, side);
    clip->width = frame->width, clip->height = frame->height;
    if (clip->rgb.size() + frame->rgb.size() > kClipBytes) return Clip();
    clip->rgb.insert(clip->rgb.end(), frame->rgb.begin(), frame->rgb.end());
    ++clip->frames;
  }
  if (clip->frames == 0) return invalid("{}: holds no frame", path);
  return Clip(std::move(clip));
}

}  // namespace

Result<Clip> load_clip(const std::string& path) {
  constexpr int64_t kSmallest = 16;
  for (int64_t reduction = 1; reduction <= kSmallest; ++reduction) {
    ZT_ASSIGN_OR_RETURN(Clip clip, read_reduced(path, reduction, kMaxFrames));
    if (clip) return clip;
  }
  return invalid("{}: too long to be shown from memory", path);
}

Result<Clip> load_thumbnail(const std::string& path) {
  constexpr int64_t kSide = 160;
  ZT_ASSIGN_OR_RETURN(Clip first, read_reduced(path, 1, 1));
  if (!first) return invalid("{}: a frame is too large", path);
  return shrunk_frame(*first, 0, kSide);
}

Status save_picture(const std::string& path, const ClipFrames& clip, int64_t frame) {
  if (!path.ends_with(".png")) return invalid("{}: pictures are saved as .png", path);
  if (frame < 0 || frame >= clip.frames) return invalid("{}: the clip has no frame {}", path, frame);
  const uint8_t* rgb = clip.frame(frame);
  return write_png(path, {clip.width, clip.height, {rgb, rgb + clip.width * clip.height * 3}}, true);
}

Result<JobSpec> stored_settings(const std::string& path) {
  std::error_code error;
  std::string side = path.ends_with(".json") ? path : side_file_of(path), text;
  if (std::filesystem::is_regular_file(side, error)) {
    std::ifstream f(side, std::ios::binary);
    text.resize(kMaxTextBytes + 1);
    f.read(text.data(), std::streamsize(text.size()));
    text.resize(size_t(f.gcount()));
  } else if (side == path) {
    return invalid("{}: cannot be read", path);
  } else {
    ZT_ASSIGN_OR_RETURN(auto reader, ClipReader::open(path));
    text = reader->info().comment;
    if (text.empty()) return invalid("{}: carries no settings, and there is no {} beside it", path, side);
  }
  JobSpec spec;
  if (Problem p = read_settings(text, spec); !p.empty()) return invalid("{}: {}", path, p);
  if (Problem p = validate(spec); !p.empty()) return invalid("{}: {}", path, p);
  return spec;
}

}  // namespace zt
