#include "app/media/tensor_file.h"

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

Result<std::unique_ptr<TensorFile>> TensorFile::open(const std::string& path, bool replace, const std::vector<TensorEntry>& tensors,
                                                     const std::string& settings, WriteFaults* faults) {
  ZT_ASSIGN_OR_RETURN(PendingFile file, PendingFile::create(path, replace, false, faults));
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
  ZT_ASSIGN_OR_RETURN(OutputStream stream, file.open());
  auto out = std::unique_ptr<TensorFile>(new TensorFile(std::move(file), std::move(stream), bytes));
  std::string head;
  for (int i = 0; i < 8; ++i) head += char(uint8_t(uint64_t(text.size()) >> 8 * i));
  head += text;
  ZT_RETURN_IF_ERROR(out->stream_.write(head.data(), head.size()));
  return out;
}

Status TensorFile::write(const void* data, size_t bytes) {
  ZT_CHECK(bytes <= left_);
  left_ -= bytes;
  return stream_.write(data, bytes);
}

Status TensorFile::commit() {
  ZT_CHECK(left_ == 0);
  ZT_RETURN_IF_ERROR(stream_.close());
  return file_.commit();
}

}  // namespace zt
