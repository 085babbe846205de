// safetensors files, read by mmap, hostile until proven otherwise. Every rule of the format is checked before a byte
// of data is touched: header <= 100,000,000 bytes and inside the file, starts with '{', valid UTF-8 JSON, no duplicate
// keys, at most 65,536 entries, known dtype, rank <= 5, dims <= 2^31, checked products, offsets in order, no overlap,
// no hole, data end = file end. A refusal names the file, the tensor and the rule (kBadModel).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernels/core/tensor.h"

namespace zt {

// Read-only mapping of a regular file.
class MappedFile {
 public:
  static Result<std::shared_ptr<const MappedFile>> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  const std::string& path() const { return path_; }
  // Tells the system that these bytes will not be needed again soon, so that weights already packed do not count twice.
  void drop(const void* begin, size_t bytes) const;

 private:
  MappedFile() = default;
  std::string path_;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

struct SafetensorsFile {
  std::shared_ptr<const MappedFile> file;
  std::map<std::string, TensorView> tensors;  // views into the mapping: read only, whatever the pointer type says
  std::map<std::string, std::string> metadata;

  static Result<SafetensorsFile> open(const std::string& path);
};

struct NamedTensor {
  std::string name;
  TensorView tensor;
};
// A file as it will stand on disk, for whoever writes it in a way of its own: `head`, then the data of each tensor in order.
struct SafetensorsLayout {
  std::string head;
  std::vector<TensorView> data;
};
SafetensorsLayout lay_out_safetensors(const std::vector<NamedTensor>& tensors, const std::map<std::string, std::string>& metadata);

// Serialises to one buffer-free write: temporary name in the same folder, fsync, rename, fsync folder.
Status write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                         const std::map<std::string, std::string>& metadata = {});

}  // namespace zt
