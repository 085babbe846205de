#include "app/media/tensor_file.h"

#include <cerrno>
#include <cstring>

#include "app/session/job_text.h"

namespace zt {
namespace {

const char* safetensors_name(DType t) {
  switch (t) {
    case DType::f32: return "F32";
    case DType::u8: return "U8";
    default: throw Bug("TensorFile writes f32 and u8 only");
  }
}

}  // namespace

Result<std::unique_ptr<TensorFile>> TensorFile::open(const std::string& path, bool replace,
                                                     const std::vector<TensorEntry>& tensors, const std::string& settings) {
  ZT_ASSIGN_OR_RETURN(PendingFile file, PendingFile::create(path, replace));
  size_t bytes = 0;
  std::string text = "{";
  if (!settings.empty()) text += R"("__metadata__":{"settings":)" + json_quoted(settings) + "}";
  for (const TensorEntry& t : tensors) {
    size_t begin = bytes, own = dtype_size(t.dtype);
    for (int64_t d : t.shape) own *= size_t(d);
    bytes += own;
    text += fmt::format(R"({}{}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", text == "{" ? "" : ",",
                        json_quoted(t.name), safetensors_name(t.dtype), fmt::join(t.shape, ","), begin, bytes);
  }
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the format asks for data aligned to 8
  std::FILE* f = std::fopen(file.temporary().c_str(), "wb");
  if (!f) return invalid("{}: cannot write here: {}", path, std::strerror(errno));
  auto out = std::unique_ptr<TensorFile>(new TensorFile(std::move(file), f, bytes));
  uint8_t size[8];
  for (int i = 0; i < 8; ++i) size[i] = uint8_t(uint64_t(text.size()) >> 8 * i);
  bool good = std::fwrite(size, 1, sizeof size, f) == sizeof size && std::fwrite(text.data(), 1, text.size(), f) == text.size();
  if (!good) return failed("{}: cannot write: {}", path, std::strerror(errno));
  return out;
}

TensorFile::~TensorFile() {
  if (stream_) std::fclose(stream_);
}

Status TensorFile::write(const void* data, size_t bytes) {
  ZT_CHECK(bytes <= left_);
  left_ -= bytes;
  if (bytes == 0) return ok_status();  // `data` may then be null, which fwrite must not get
  if (std::fwrite(data, 1, bytes, stream_) == bytes) return ok_status();
  return failed("{}: cannot write: {}", file_.path(), std::strerror(errno));
}

Status TensorFile::commit() {
  ZT_CHECK(left_ == 0);
  bool good = std::fclose(stream_) == 0;
  stream_ = nullptr;
  if (!good) return failed("{}: cannot write: {}", file_.path(), std::strerror(errno));
  return file_.commit();
}

}  // namespace zt
