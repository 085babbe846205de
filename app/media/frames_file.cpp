#include "app/media/frames_file.h"

#include <cerrno>
#include <cstring>

namespace zt {

Result<std::unique_ptr<FramesFile>> FramesFile::open(const std::string& path, bool replace, int64_t frames, int64_t height, int64_t width) {
  ZT_ASSIGN_OR_RETURN(PendingFile file, PendingFile::create(path, replace));
  size_t frame_bytes = size_t(height) * size_t(width) * 3;
  std::string header = fmt::format(R"({{"frames":{{"dtype":"U8","shape":[{},{},{},3],"data_offsets":[0,{}]}}}})", frames, height, width,
                                   size_t(frames) * frame_bytes);
  header.resize((header.size() + 7) / 8 * 8, ' ');  // the format asks for data aligned to 8
  std::FILE* f = std::fopen(file.temporary().c_str(), "wb");
  if (!f) return invalid("{}: cannot write here: {}", path, std::strerror(errno));
  auto out = std::unique_ptr<FramesFile>(new FramesFile(std::move(file), f, frames, frame_bytes));
  uint8_t size[8];
  for (int i = 0; i < 8; ++i) size[i] = uint8_t(uint64_t(header.size()) >> 8 * i);
  bool good = std::fwrite(size, 1, sizeof size, f) == sizeof size && std::fwrite(header.data(), 1, header.size(), f) == header.size();
  if (!good) return failed("{}: cannot write: {}", path, std::strerror(errno));
  return out;
}

FramesFile::~FramesFile() {
  if (stream_) std::fclose(stream_);
}

Status FramesFile::write(const uint8_t* rgb) {
  ZT_CHECK(written_ < frames_);
  ++written_;
  if (std::fwrite(rgb, 1, frame_bytes_, stream_) == frame_bytes_) return ok_status();
  return failed("{}: cannot write: {}", file_.path(), std::strerror(errno));
}

Status FramesFile::commit() {
  ZT_CHECK(written_ == frames_);
  bool good = std::fclose(stream_) == 0;
  stream_ = nullptr;
  if (!good) return failed("{}: cannot write: {}", file_.path(), std::strerror(errno));
  return file_.commit();
}

}  // namespace zt
